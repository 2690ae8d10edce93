/**
 * How long calls take: a log-normal distribution, told by its median and its 99th percentile, which is how services publish it.
 * Drawn from a seeded generator by the Box-Muller transform.
 *
 * @module
 */
import type { Random } from "../zipf.ts";

/** Median and 99th percentile, in ms. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** Standard deviations from the median to the 99th percentile of a normal distribution. */
const Z99 = 2.326_347_87;

/** Draws a time in ms. */
export function drawLatency(random: Random, { p50, p99 }: Latency): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return p50 * (p99 / p50) ** (normal / Z99);
}

/** Time to the next event of a Poisson process, in ms. */
export function drawGap(random: Random, perSecond: number): number {
  return (-Math.log(1 - random()) / perSecond) * 1_000;
}
