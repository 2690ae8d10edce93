/**
 * One run in a process of its own, so that no run inherits another's heap, compiled code or open sockets. Started by
 * `plan.ts` with the job as its argument; prints the measure as its only line.
 *
 * @module
 */
import { Redis } from "ioredis";
import type { Contestant, Load } from "./contestant.ts";
import { measure } from "./measure.ts";
import type { Variant } from "./variants.ts";

/** What the parent passes as JSON. */
export interface Job {
  readonly variant: Variant;
  readonly port: number;
  readonly seed: number;
}

const job: Job = JSON.parse(process.argv[2] ?? "{}");
const client = new Redis({ port: job.port, host: "127.0.0.1", lazyConnect: true, autoResendUnfulfilledCommands: false });
await client.connect();
const create = await factory(job.variant);
const result = await measure(job.variant, job.seed, (load) => create(client, job.variant.local, load));
client.disconnect();
// Some libraries leave a connection or a timer of their own.
process.stdout.write(JSON.stringify(result), () => process.exit());

async function factory({ contestant }: Variant): Promise<(client: Redis, capacity: number, load: Load) => Contestant | Promise<Contestant>> {
  // Imported on demand: the reference runs without a built package and pays for none of it.
  if (contestant === "reference") return (await import("./reference.ts")).createReference;
  if (contestant === "cacheme") return (await import("./cacheme.ts")).createCacheme;
  const { createRedisPeer } = await import("./redis-peers.ts");
  return (connection, capacity, load) => createRedisPeer(contestant, connection, capacity, load);
}
