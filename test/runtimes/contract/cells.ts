/**
 * Which storage exists in which runtime, and why not where it does not. It is what the run is held against: a storage that
 * is missing from a run, or that runs where none is expected, fails the test.
 *
 * @module
 */
import type { Lacking } from "../../contract/clauses.ts";

export const RUNTIMES = ["node", "workerd", "deno", "bun", "edge"] as const;

export type Runtime = (typeof RUNTIMES)[number];

/** The runtimes where a storage runs, with the client it has there (`""`: its own or the platform's). */
type Clients = Readonly<Partial<Record<Runtime, string>>>;

export interface Row {
  readonly storage: string;
  /** The server, as in `CACHEME_TEST_WITHOUT`. */
  readonly server?: string;
  readonly clients: Clients;
  /** What workerd needs for it. */
  readonly flag?: "nodejs_compat";
  /** Why it is not everywhere. */
  readonly why?: string;
  /** What else is to be said. */
  readonly note?: string;
  /** What the storage, or the time there is, lacks. */
  readonly lacking: readonly Lacking[];
}

const PLANTS: readonly Lacking[] = ["plantForeign", "plantText"];
const WEAK: readonly Lacking[] = [...PLANTS, "conditional", "pass"];
const SOCKETS = "its client holds TCP sockets";
const UNTRIED = `${SOCKETS}; on Workers under \`nodejs_compat\` it was not tried`;
const FILES = "its client opens files";
const CANNOT_TELL = "MySQL cannot tell what a conditional write did, so the test reads the slot afterwards";
const SMALL_BATCHES = "on FerretDB, in batches of at most 200 here and of 1000 in the storage's own tests";
const BINDING = "a binding of Workers";

function everywhere(client = ""): Clients {
  return { node: client, workerd: client, deno: client, bun: client, edge: client };
}

/** Where a client that holds sockets runs. */
function over(client: string): Clients {
  return { node: client, workerd: client, deno: client, bun: client };
}

export const ROWS: readonly Row[] = [
  { storage: "memoryStorage", clients: everywhere(), lacking: PLANTS },
  { storage: "redis", server: "redis", clients: { node: "node-redis", deno: "node-redis", bun: "Bun's own" }, why: UNTRIED, lacking: PLANTS },
  { storage: "upstash", server: "redis", clients: everywhere(), lacking: PLANTS },
  { storage: "sql, sqlite", clients: { node: "node:sqlite", deno: "node:sqlite", bun: "bun:sqlite" }, why: FILES, lacking: PLANTS },
  { storage: "sql, postgres", server: "postgres", clients: { node: "pg", deno: "pg", bun: "pg" }, why: UNTRIED, lacking: PLANTS },
  { storage: "sql, mysql", server: "mariadb", clients: { node: "mysql2", deno: "mysql2", bun: "mysql2" }, why: UNTRIED, note: CANNOT_TELL, lacking: PLANTS },
  { storage: "neon", server: "postgres", clients: everywhere(), lacking: PLANTS },
  { storage: "planetscale", server: "mariadb", clients: everywhere(), note: CANNOT_TELL, lacking: PLANTS },
  { storage: "libsql", server: "sqld", clients: everywhere(), lacking: PLANTS },
  { storage: "mongodb", server: "ferretdb", clients: over("mongodb"), flag: "nodejs_compat", why: SOCKETS, note: SMALL_BATCHES, lacking: PLANTS },
  { storage: "mongoDataApi", server: "ferretdb", clients: everywhere(), note: SMALL_BATCHES, lacking: PLANTS },
  { storage: "d1", clients: { workerd: "" }, why: BINDING, lacking: PLANTS },
  { storage: "kv", clients: { workerd: "" }, why: BINDING, lacking: WEAK },
];
