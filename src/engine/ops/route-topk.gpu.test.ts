import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  DEVICE_KINDS,
  openTestGpu,
  randomNumbers,
  relativeError,
  type TestGpu,
  testBlueprint,
  tile,
} from '../../../test/gpu-fixture.ts'
import { auxRowWords } from '../model/aux-layout.ts'
import type { RouterDescription } from '../model/blueprint.ts'
import { multiply } from '../reference/numbers.ts'
import { rmsNorm } from '../reference/rms-norm.ts'
import { type Route, route } from '../reference/route.ts'
import type { TileColumns } from './op.ts'
import { makeRouteTopk } from './route-topk.ts'

const COLUMN_LEFT = 13
const COLUMN_CENTER = 9
// Not a multiple of the 64 lanes.
const HIDDEN = COLUMN_LEFT * COLUMN_CENTER
const FIRST_ROUTE = 7

interface Case {
  count: number
  tokens?: number
  topK?: number
  renormalize?: boolean
  scale?: number
  width?: TileColumns
  /** Router rows; default: random. */
  router?: Float32Array<ArrayBuffer>
  /** Expert ids a token. */
  forced?: number[][]
}

describe.each(DEVICE_KINDS)('route_topk on a %s device', (kind) => {
  let gpu: TestGpu
  beforeAll(async () => {
    gpu = await openTestGpu(kind)
  })
  afterAll(() => gpu.close())

  /** Routes random tokens and compares choice, weights and the normed output; gives the choice. */
  async function check(options: Case): Promise<Route[]> {
    const { count, tokens = 3, topK = 2, renormalize = true, scale = 1, width = 1, forced } = options
    const description: RouterDescription = { score: 'softmax', topK, renormalize, scale }
    const base = testBlueprint()
    const gate = { ...base.experts.gate, columnLeft: COLUMN_LEFT, columnCenter: COLUMN_CENTER }
    const experts = { ...base.experts, count, gate }
    const blueprint = testBlueprint({ hiddenSize: HIDDEN, rmsEps: 0.01, router: description, experts })
    const xs = Array.from({ length: tokens }, (_, token) => randomNumbers(HIDDEN, 70 + token))
    const norm = randomNumbers(HIDDEN, 90)
    const router = options.router ?? randomNumbers(count * HIDDEN, 91)
    const stride = auxRowWords(COLUMN_LEFT) * 8
    const routes = gpu.poisoned(2 * (FIRST_ROUTE + tokens * topK))
    const normed = gpu.poisoned(tokens * COLUMN_CENTER * stride)
    const ids = new Uint32Array(FIRST_ROUTE + tokens * topK).fill(0xffffffff)
    ids.set((forced ?? []).flat(), FIRST_ROUTE)
    gpu.writeState({ tokens: xs.map(() => 0), forced: forced !== undefined })
    const op = await makeRouteTopk(gpu.context, {
      blueprint,
      firstRoute: FIRST_ROUTE,
      x: gpu.buffer(tile(xs, width, Number.NaN)),
      norm: gpu.buffer(norm),
      router: gpu.buffer(router),
      forced: gpu.buffer(ids),
      routes,
      normed,
      tile: width,
    })
    const results = await gpu.read([op], { position: 3, count: tokens }, [routes, normed])
    const [routeBytes, normedBytes] = results as [ArrayBuffer, ArrayBuffer]
    const [chosen, weights] = [new Uint32Array(routeBytes), new Float32Array(routeBytes)]
    expect(weights.subarray(0, 2 * FIRST_ROUTE).every(Number.isNaN)).toBe(true)
    const n = new Float32Array(normedBytes)
    return xs.map((x, token) => {
      const normal = rmsNorm(x, norm, blueprint.rmsEps)
      const expected = route(description, multiply(router, count, normal), forced?.[token])
      const at = (slot: number) => 2 * (FIRST_ROUTE + token * topK + slot)
      const slots = Array.from({ length: topK }, (_, slot) => slot)
      expect(slots.map((slot) => chosen[at(slot)])).toEqual(expected.experts)
      const error = relativeError(
        slots.map((slot) => weights[at(slot) + 1] as number),
        expected.weights,
      )
      expect(error).toBeLessThan(4e-6)
      const inner = Array.from(normal, (_, k) => {
        const [left, center] = [Math.floor(k / COLUMN_CENTER), k % COLUMN_CENTER]
        return n[(token * COLUMN_CENTER + center) * stride + left] as number
      })
      expect(relativeError(inner, normal)).toBeLessThan(2e-6)
      // The padding of an inner row belongs to whoever allocated it.
      for (let center = 0; center < COLUMN_CENTER; center++) {
        const row = (token * COLUMN_CENTER + center) * stride
        expect(n.subarray(row + COLUMN_LEFT, row + stride).every(Number.isNaN)).toBe(true)
      }
      return expected
    })
  }

  it.each([2, 3, 5, 8, 33, 64, 65, 200, 256])('ranks %i experts', async (count) => {
    for (const topK of [1, 2, 3]) {
      if (topK > count) continue
      for (const { borderGap } of await check({ count, topK, width: topK === 2 ? 4 : 1, tokens: 5 })) {
        // A choice closer than this would be decided by rounding, not by the rule.
        expect(borderGap).toBeGreaterThan(1e-6)
      }
    }
  })

  it('keeps shares of all experts without renormalization, and scales', async () => {
    for (const renormalize of [false, true])
      await check({ count: 6, topK: 3, renormalize, scale: 2.5, width: 4 })
  })

  it('gives ties to the lower expert, with equal weights', async () => {
    const same = randomNumbers(HIDDEN, 5)
    const equal = new Float32Array(Array.from({ length: 9 }, () => [...same]).flat())
    for (const { experts } of await check({ count: 9, topK: 3, router: equal }))
      expect(experts).toEqual([0, 1, 2])
    // Two pairs of twins: the border runs through a pair for a token or the other.
    const other = randomNumbers(HIDDEN, 6)
    const twins = new Float32Array([other, same, other, same].flatMap((row) => [...row]))
    for (const topK of [1, 2, 3]) await check({ count: 4, topK, router: twins, width: 4 })
  })

  it('survives logits far apart', async () => {
    const router = randomNumbers(7 * HIDDEN, 8).map((value) => value * 40)
    await check({ count: 7, topK: 2, router, renormalize: false })
    await check({ count: 7, topK: 2, router, renormalize: true })
  })

  it('takes forced experts in their order, with its own weights', async () => {
    const forced = [
      [4, 0],
      [1, 5],
      [5, 2],
    ]
    for (const width of [1, 4] as const) {
      for (const renormalize of [false, true]) await check({ count: 6, forced, renormalize, scale: 3, width })
    }
  })

  it('ignores the forced list of an earlier step', async () => {
    await check({
      count: 6,
      forced: [
        [4, 0],
        [1, 5],
        [5, 2],
      ],
    })
    await check({ count: 6 })
  })
})
