/** BENCH_SCALE=small divides every size by this, for a run that only shows that the benchmarks work. */
const divisor = process.env.BENCH_SCALE === 'small' ? 100 : 1;

export const isSmall = divisor > 1;

/** A size as it is in this run, never below `least`. */
export function sized(size: number, least = 1): number {
  return Math.max(least, Math.round(size / divisor));
}
