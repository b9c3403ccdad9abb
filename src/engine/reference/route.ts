import type { RouterDescription } from '../model/blueprint.ts'
import { softmax } from './attention.ts'
import type { Numbers } from './numbers.ts'

/** The chosen experts of one token in one layer, by falling weight. */
export interface Route {
  experts: number[]
  weights: number[]
  /** Score of the last chosen expert minus the best one left out; infinite when all are chosen. */
  borderGap: number
}

/**
 * Score → top-k by rank (ties: lower index) → renormalize → scale.
 * `forced` replaces the choice, not the scores: the weights are this router's own.
 */
export function route(router: RouterDescription, logits: Numbers, forced?: readonly number[]): Route {
  const scores = scoreExperts(router, [...logits])
  const byRank = scores.map((_, expert) => expert).sort((a, b) => score(b) - score(a) || a - b)
  function score(expert: number | undefined): number {
    return scores[expert ?? -1] ?? -Infinity
  }
  const experts = forced === undefined ? byRank.slice(0, router.topK) : [...forced]
  const total = router.renormalize ? experts.reduce((sum, expert) => sum + score(expert), 0) : 1
  return {
    experts,
    weights: experts.map((expert) => (score(expert) / total) * router.scale),
    borderGap: score(byRank[router.topK - 1]) - score(byRank[router.topK]),
  }
}

function scoreExperts(router: RouterDescription, logits: number[]): number[] {
  if (router.score === 'softmax') return softmax(logits)
  if (router.score === 'sigmoid') return logits.map((logit) => 1 / (1 + Math.exp(-logit)))
  return logits
}
