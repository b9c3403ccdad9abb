// What a `.wgsl` import gives TypeScript: text, bindings, parameters, overrides, specializations.
// Written by tools/wgsl-plugin.ts from the shader text alone. A leaf.

export type BindingType = 'uniform' | 'storage' | 'read-only-storage'

export interface KernelBinding<Name extends string = string> {
  name: Name
  binding: number
  type: BindingType
  /** The shape comment of the binding line, e.g. `[tokens, hidden]`. */
  shape: string
}

export interface KernelField<Name extends string = string> {
  name: Name
  offsetBytes: number
  type: 'u32' | 'i32' | 'f32'
}

/**
 * A kernel file with its library files appended.
 * `Buffers` excludes `params` (binding 0), which the kernel itself owns.
 */
export interface KernelSource<
  Buffers extends string = string,
  Params extends string = string,
  Overrides extends string = string,
  Specs extends string = string,
> {
  /** File, entry point, label and trace span. */
  name: string
  code: string
  /** Lines of the kernel's own file, so that compiler messages can name them. */
  ownLines: number
  bindings: readonly KernelBinding<Buffers>[]
  /** Fields of `struct Params`; absent when the kernel has no `params` binding. */
  params: { sizeBytes: number; fields: readonly KernelField<Params>[] } | undefined
  overrides: readonly Overrides[]
  /** Names on lines `const NAME: u32 = 1u; // spec` or `alias Name = f32; // spec`. */
  specs: readonly Specs[]
}
