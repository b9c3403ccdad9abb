import { describe, expect, test } from 'vitest'
import {
  composeKernel,
  declarationsOnly,
  shaderComplaints,
  shrinkShader,
  usedLibraries,
} from './wgsl-kernel.ts'

const library = `// Tiles.

alias Tile = f32; // spec

struct Quad {
  a: Tile,
  b: Tile,
}

struct State {
  count: u32,
  tokens: array<vec4u, 32>,
}
`

const kernel = `// scale_rows: y[r, c] = s · x[r, c]
// uses: tiles
// dispatch: (ceil(rows / 64)); a thread owns a row.
// barrier-free; f32.

struct Params {
  rows: u32,
  // A comment with a ; in it.
  factor: f32,
  shift: i32,
  _pad0: u32,
  columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [rows, columns]
@group(0) @binding(2) var<storage, read> x: array<Quad>; // tiled [rows, columns]

override FAST: bool = false;
override WG_SIZE: u32 = 64u;
const FORMAT: u32 = 2u; // spec
const PLAIN: u32 = 3u;

var<workgroup> sums: array<f32, WG_SIZE>;

fn helper(values: array<f32, 2>) -> f32 {
  var copy = array<Tile, 1>(values[0]);
  for (var k = 0u; k < 2u; k++) { copy[0] += 1.0; }
  return copy[0];
}

@compute @workgroup_size(WG_SIZE)
fn scale_rows(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.rows) { y[id.x] = x[id.x].a; }
}
`

function changed(from: string, to: string): string {
  expect(kernel).toContain(from)
  return kernel.replace(from, to)
}

describe('composeKernel', () => {
  const source = composeKernel('scale_rows', kernel, [library])

  test('appends the libraries and counts the lines of the own file', () => {
    expect(source.code.startsWith(kernel)).toBe(true)
    expect(source.code.endsWith(library)).toBe(true)
    expect(source.ownLines).toBe(kernel.split('\n').length - 1)
  })

  test('lists every binding but params, in binding order, with its shape comment', () => {
    expect(source.bindings).toEqual([
      { name: 'state', binding: 1, type: 'uniform', shape: '' },
      { name: 'x', binding: 2, type: 'read-only-storage', shape: 'tiled [rows, columns]' },
      { name: 'y', binding: 3, type: 'storage', shape: '[rows, columns]' },
    ])
  })

  test('gives the byte offset of each field of Params and leaves padding out', () => {
    expect(source.params).toEqual({
      sizeBytes: 32,
      fields: [
        { name: 'rows', offsetBytes: 0, type: 'u32' },
        { name: 'factor', offsetBytes: 4, type: 'f32' },
        { name: 'shift', offsetBytes: 8, type: 'i32' },
        { name: 'columns', offsetBytes: 16, type: 'u32' },
      ],
    })
  })

  test('lists overrides and the spec lines of the kernel and its libraries', () => {
    expect(source.overrides).toEqual(['FAST', 'WG_SIZE'])
    expect(source.specs).toEqual(['FORMAT', 'Tile'])
  })

  test('takes a kernel without params', () => {
    const text = `// fill: y = 0\n@group(0) @binding(0) var<storage, read_write> y: array<f32>; // [n]\n@compute @workgroup_size(1)\nfn fill() { y[0] = 0.0; }\n`
    expect(composeKernel('fill', text, []).params).toBeUndefined()
  })

  test.each([
    ['an entry point named otherwise', changed('fn scale_rows(', 'fn main('), /entry point/],
    ['a storage binding without a shape', changed('; // [rows, columns]', ';'), /y has no shape comment/],
    ['a binding number used twice', changed('@binding(3)', '@binding(2)'), /binding 2 is declared twice/],
    ['a binding in another group', changed('@group(0) @binding(3)', '@group(1) @binding(3)'), /group 1/],
    ['a vector in Params', changed('factor: f32', 'factor: vec2f'), /Params\.factor is vec2f/],
    [
      'a spec line it cannot replace',
      changed('const FORMAT: u32 = 2u; // spec', 'const FORMAT = 2u;  // spec'),
      /spec line/,
    ],
    [
      'a params block elsewhere',
      changed('@binding(0) var<uniform> params', '@binding(7) var<uniform> params'),
      /binding 0/,
    ],
  ])('refuses %s', (_, text, message) => {
    expect(() => composeKernel('scale_rows', text, [library])).toThrow(message)
  })
})

test('shrinkShader drops comments and indentation, and keeps line numbers and spec marks', () => {
  const small = shrinkShader(kernel)
  expect(small.split('\n')).toHaveLength(kernel.split('\n').length)
  expect(small).toContain('\nconst FORMAT: u32 = 2u; // spec\n')
  expect(small.match(/\/\//g)).toHaveLength(1)
  expect(small).not.toMatch(/^[ \t]|[ \t]$/m)
  const { bindings, params, specs } = composeKernel(
    'scale_rows',
    small.replaceAll(/(var<storage.*;)$/gm, '$1 // [n]'),
    [library],
  )
  const original = composeKernel('scale_rows', kernel, [library])
  expect([bindings.length, params, specs]).toEqual([
    original.bindings.length,
    original.params,
    original.specs,
  ])
})

test('usedLibraries reads the head comment only', () => {
  expect(usedLibraries('// k: y = x\n// uses: a b_c\n// dispatch: (1)\n')).toEqual(['a', 'b_c'])
  expect(usedLibraries('// k: y = x\n// uses: none\n')).toEqual([])
  expect(usedLibraries('// k: y = x\n\n// uses: a\n')).toEqual([])
})

test('declarationsOnly drops functions, directives and workgroup variables', () => {
  const text = declarationsOnly(`enable subgroups;\n/* fn x() {} */${kernel}`)
  expect(text).not.toMatch(/fn |enable|workgroup>/)
  expect(text).toContain('override FAST')
  expect(text).toContain('struct Params')
})

describe('shaderComplaints', () => {
  test('is content with a kernel and a library in style', () => {
    expect(shaderComplaints('src/shaders/scale_rows.wgsl', kernel, 'kernel')).toEqual([])
    expect(shaderComplaints('src/shaders/lib/tiles.wgsl', library, 'library')).toEqual([])
  })

  test.each([
    ['a tab', changed('  rows: u32', '\trows: u32'), /:7: has a tab/],
    ['trailing blanks', changed('rows: u32,', 'rows: u32, '), /:7: has trailing blanks/],
    ['a wide line', changed('// barrier-free; f32.', `// ${'x'.repeat(110)}`), /:4: is 113 columns wide/],
    ['no formula', changed('// scale_rows: ', '// '), /must start with/],
    ['no dispatch line', changed('// dispatch:', '// grid:'), /no "dispatch:" line/],
    ['no uses line', changed('// uses:', '// with:'), /no "uses:" line/],
    [
      'a barrier where the head says none',
      changed('  if (id', '  workgroupBarrier();\n  if (id'),
      /barrier-free/,
    ],
    ['a long vector type', changed('id: vec3u', 'id: vec3<u32>'), /vector type long/],
  ])('finds %s', (_, text, message) => {
    const complaints = shaderComplaints('src/shaders/scale_rows.wgsl', text, 'kernel')
    expect(complaints).toHaveLength(1)
    expect(complaints[0]).toMatch(message)
  })
})
