// From the text of a kernel and its library files to a `KernelSource`, and the style checks of a shader.
// Pure: no files. Reflection happens here, at build time, so nothing of it is shipped.
import { ResourceType, WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js'
import type {
  BindingType,
  KernelBinding,
  KernelField,
  KernelSource,
} from '../src/engine/gpu/kernel-source.ts'

const MAX_WIDTH = 112

/** Library files named on a kernel's `// uses:` line, in the order of that line. */
export function usedLibraries(kernelText: string): string[] {
  const names = /^\/\/ uses:(.*)$/m.exec(headComment(kernelText))?.[1]?.trim() ?? ''
  return names === '' || names === 'none' ? [] : names.split(/[\s,]+/)
}

/**
 * A kernel's text with its libraries appended, and everything TypeScript needs to call it.
 *
 * @throws Error naming the file when a declaration breaks a rule of `docs/kernels.md`.
 */
export function composeKernel(
  name: string,
  kernelText: string,
  libraryTexts: readonly string[],
): KernelSource {
  const own = kernelText.endsWith('\n') ? kernelText : `${kernelText}\n`
  const code = [own, ...libraryTexts].join('\n')
  if (!new RegExp(`\\bfn ${name}\\s*\\(`).test(own)) {
    throw new Error(`${name}.wgsl: the entry point must be called ${name}, as the file.`)
  }
  const reflection = reflect(name, code)
  return {
    name,
    code,
    ownLines: own.split('\n').length - 1,
    bindings: readBindings(name, own, reflection),
    params: readParams(name, reflection),
    overrides: reflection.overrides.map((override) => override.name),
    specs: readSpecs(name, code),
  }
}

/** A shader without comments and indentation; lines keep their numbers, and spec lines their marks. */
export function shrinkShader(code: string): string {
  return code.replace(/[ \t]*\/\/(?! spec$).*$/gm, '').replace(/^[ \t]+/gm, '')
}

/** Every break of the shader style, as `file:line: sentence`. A library file needs no dispatch line. */
export function shaderComplaints(file: string, text: string, kind: 'kernel' | 'library'): string[] {
  const complaints: string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const at = `${file}:${index + 1}`
    if (line.includes('\t')) complaints.push(`${at}: has a tab; indent with two spaces.`)
    if (/\s$/.test(line)) complaints.push(`${at}: has trailing blanks.`)
    const width = [...line].length
    if (width > MAX_WIDTH) complaints.push(`${at}: is ${width} columns wide, at most ${MAX_WIDTH}.`)
    if (/\bvec[234]<(?:[fiu]32|f16)>/.test(line)) {
      complaints.push(`${at}: spells a vector type long; write vec3u, vec4f and so on.`)
    }
  }
  if (!text.endsWith('\n')) complaints.push(`${file}: does not end with a line break.`)
  const head = headComment(text)
  if (head === '') complaints.push(`${file}:1: has no head comment.`)
  if (kind === 'kernel') complaints.push(...kernelComplaints(file, text, head))
  return complaints
}

function kernelComplaints(file: string, text: string, head: string): string[] {
  const complaints: string[] = []
  const name = file.replace(/^.*\//, '').replace(/\.wgsl$/, '')
  if (!head.startsWith(`// ${name}: `)) {
    complaints.push(`${file}:1: the head comment must start with "// ${name}: " and the formula.`)
  }
  for (const key of ['uses', 'dispatch']) {
    if (!new RegExp(`^// ${key}: \\S`, 'm').test(head)) {
      complaints.push(`${file}:1: the head comment has no "${key}:" line.`)
    }
  }
  if (/\bbarrier-free\b/.test(head) && /\b(?:workgroup|storage)Barrier\s*\(/.test(withoutComments(text))) {
    complaints.push(`${file}: says barrier-free and has a barrier.`)
  }
  return complaints
}

// The comment lines a file opens with.
function headComment(text: string): string {
  return /^(?:\/\/.*\n)+/.exec(text)?.[0] ?? ''
}

type Reflection = InstanceType<typeof WgslReflect>

function reflect(name: string, code: string): Reflection {
  try {
    return new WgslReflect(declarationsOnly(code))
  } catch (error) {
    throw new Error(`${name}.wgsl: its declarations cannot be read: ${messageOf(error)}`)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function withoutComments(code: string): string {
  return code.replace(/\/\/.*$|\/\*[\s\S]*?\*\//gm, '')
}

/**
 * Module-scope declarations that describe the interface: structs, aliases, constants, overrides, bindings.
 * The reflection library's parser trips over some function bodies, and they say nothing about the interface.
 */
export function declarationsOnly(code: string): string {
  const kept: string[] = []
  let depth = 0
  let start = 0
  const text = withoutComments(code)
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '{') depth++
    if (character === '}') depth--
    if (depth > 0 || (character !== ';' && character !== '}')) continue
    const declaration = text.slice(start, at + 1).trim()
    start = at + 1
    if (
      /^(?:@\w+\s*(?:\([^)]*\))?\s*)*(?:struct|alias|const|override|var<(?:uniform|storage))\b/.test(
        declaration,
      )
    ) {
      kept.push(declaration)
    }
  }
  return kept.join('\n')
}

function readBindings(name: string, own: string, reflection: Reflection): KernelBinding[] {
  const bindings: KernelBinding[] = []
  const seen = new Set<number>()
  for (const variable of [...reflection.uniforms, ...reflection.storage]) {
    const { binding, group } = variable
    if (group !== 0)
      throw new Error(`${name}.wgsl: ${variable.name} is in group ${group}; only group 0 is used.`)
    if (seen.has(binding)) throw new Error(`${name}.wgsl: binding ${binding} is declared twice.`)
    seen.add(binding)
    if (variable.name === 'params') continue
    const type = bindingType(variable.resourceType, variable.access)
    const shape = shapeComment(own, variable.name)
    if (shape === '' && type !== 'uniform') {
      throw new Error(`${name}.wgsl: ${variable.name} has no shape comment at the end of its line.`)
    }
    bindings.push({ name: variable.name, binding, type, shape })
  }
  return bindings.sort((a, b) => a.binding - b.binding)
}

function bindingType(resource: ResourceType, access: string): BindingType {
  if (resource === ResourceType.Uniform) return 'uniform'
  return access === 'read_write' || access === 'write' ? 'storage' : 'read-only-storage'
}

function shapeComment(own: string, variable: string): string {
  return new RegExp(`^@group.*\\b${variable}\\s*:.*;[ \\t]*//[ \\t]*(.*?)[ \\t]*$`, 'm').exec(own)?.[1] ?? ''
}

function readParams(name: string, reflection: Reflection): KernelSource['params'] {
  const variable = reflection.uniforms.find((uniform) => uniform.name === 'params')
  if (variable === undefined) return undefined
  if (variable.binding !== 0 || variable.type.name !== 'Params') {
    throw new Error(`${name}.wgsl: params must be binding 0 of type Params.`)
  }
  const fields: KernelField[] = []
  for (const member of variable.members ?? []) {
    if (member.name.startsWith('_pad')) continue
    const type = member.type.getTypeName()
    if (type !== 'u32' && type !== 'i32' && type !== 'f32') {
      throw new Error(`${name}.wgsl: Params.${member.name} is ${type}; only u32, i32 and f32 can be written.`)
    }
    fields.push({ name: member.name, offsetBytes: member.offset, type })
  }
  return { sizeBytes: Math.ceil(variable.size / 16) * 16, fields }
}

function readSpecs(name: string, code: string): string[] {
  const specs: string[] = []
  for (const line of code.split('\n')) {
    if (!/\/\/ spec\s*$/.test(line)) continue
    const spec = /^(?:const (\w+): \w+|alias (\w+)) = [^;]+; \/\/ spec$/.exec(line)
    const key = spec?.[1] ?? spec?.[2]
    if (key === undefined) {
      throw new Error(
        `${name}.wgsl: a spec line must read "const NAME: u32 = 1u; // spec" or "alias Name = f32; // spec", not: ${line}`,
      )
    }
    if (specs.includes(key)) throw new Error(`${name}.wgsl: spec ${key} is declared twice.`)
    specs.push(key)
  }
  return specs
}
