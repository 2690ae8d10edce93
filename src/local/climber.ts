/**
 * Finds a good share by climbing: it moves a little, looks whether the hit ratio rose, goes on if so and turns round if not.
 * Steps become shorter while little changes and are long again after a sudden change, as in Caffeine. It knows nothing of
 * entries, and settles on a hill that need not be the highest.
 *
 * @module
 */

const FIRST_SHARE = 0.1;
const MOST = 0.8;
const LONGEST_STEP = 0.0625;
const SHORTEST_STEP = 0.005;
/** By how much each step is shorter than the last. */
const DECAY = 0.98;
/** A change of the hit ratio by this much means that the traffic has changed. */
const RESTART = 0.02;

/**
 * A share between 0 and 0.8, moved once in a period.
 *
 * Invariant: `SHORTEST_STEP` <= the length of a step <= `LONGEST_STEP`.
 */
export class Climber {
  /** The present share; it begins with a tenth. */
  share: number = FIRST_SHARE;
  private direction = 1;
  private length: number = LONGEST_STEP;
  private before: number | undefined;

  /** Takes the hit ratio of the period that ended, 0 to 1, and moves the share. The first period only sets the mark. */
  step(ratio: number): void {
    if (this.before !== undefined) {
      const change = ratio - this.before;
      if (change < 0) this.direction = -this.direction;
      this.length = Math.abs(change) >= RESTART ? LONGEST_STEP : Math.max(SHORTEST_STEP, this.length * DECAY);
      this.share = Math.min(MOST, Math.max(0, this.share + this.direction * this.length));
      // At the upper end a loop that is larger than the tier gives a steady ratio of nothing, and would hold the share there for ever.
      if (this.share === MOST) this.direction = -1;
    }
    this.before = ratio;
  }
}
