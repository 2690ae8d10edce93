/**
 * The clock that nearly every test holds. It is published, and stands with the rest of what is.
 *
 * @module
 */
export { fakeClock, type FakeClock } from "../../testing/fake-clock.ts";
