/**
 * What the test and the programs inside the runtimes say to each other: addresses go in as one JSON text, outcomes come out
 * as one JSON line each. Types only, so that both sides may import it.
 *
 * @module
 */

/** Where the servers of this run listen. One that was left out on purpose is not there, nor is what needs it. */
export interface Addresses {
  readonly redis?: { readonly url: string } | undefined;
  readonly upstash?: { readonly url: string; readonly token: string } | undefined;
  readonly neon?: { readonly connectionString: string; readonly endpoint: string } | undefined;
  readonly planetscale?: { readonly url: string } | undefined;
  readonly libsql?: { readonly url: string } | undefined;
  readonly postgres?: { readonly url: string } | undefined;
  readonly mysql?: { readonly url: string } | undefined;
  readonly mongodb?: { readonly url: string } | undefined;
  readonly mongoDataApi?: { readonly url: string; readonly apiKey: string; readonly dataSource: string; readonly database: string } | undefined;
}

/** What became of one clause with one storage. */
export interface Outcome {
  readonly storage: string;
  readonly clause: string;
  /** `null`: kept. */
  readonly error: string | null;
}

/** What a runtime has to say. */
export interface Findings {
  /** Its name and version, as the table shows it. */
  readonly runtime: string;
  readonly outcomes: readonly Outcome[];
  /** Why it did not come to its end. */
  readonly failure?: string;
}
