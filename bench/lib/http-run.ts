/**
 * The HTTP trace through one library, in a process of its own.
 *
 * @module
 */
import { createHttpContestant } from "./http-contestants.ts";
import type { Database, HttpName } from "./http-contestants.ts";
import { measure } from "./measure.ts";
import type { Workload } from "./measure.ts";
import { jobOf } from "./rounds.ts";

/** What the parent passes. */
export interface HttpJob {
  readonly name: HttpName;
  readonly database: Database;
  readonly workload: Workload;
  readonly seed: number;
}

const { name, database, workload, seed } = jobOf<HttpJob>();
const figures = await measure(workload, seed, (load) => createHttpContestant(name, database, load));
console.log(JSON.stringify(figures));
process.exit();
