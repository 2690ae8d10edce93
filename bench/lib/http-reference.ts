/**
 * The measure over HTTP: what a careful programmer writes by hand for exactly this job. The bounded Map of `reference.ts`, a table
 * of promises, and at most six requests open, each carrying all that has been asked meanwhile: one MGET and one SET for each value
 * to write. A key is in flight until its SET has landed. No expiry, no invalidation, no guard against races.
 *
 * @module
 */
import type { Contestant, Load, Row } from "./contestant.ts";
import { clock } from "./reference.ts";

interface Read {
  readonly uid: number;
  readonly key: string;
  resolve(row: Row): void;
  reject(error: unknown): void;
}

const LANES = 6;

/** The hand-written cache over the REST address. */
export function createHttpReference(url: string, token: string, capacity: number, load: Load): Contestant {
  const local = clock(capacity);
  const flights = new Map<string, Promise<Row>>();
  let reads: Read[] = [];
  let writes: [key: string, row: Row][] = [];
  let open = 0;
  let scheduled = false;

  function get(uid: number): Promise<Row> {
    const key = `uid:${uid}`;
    const hit = local.get(key);
    if (hit) return Promise.resolve(hit);
    let flight = flights.get(key);
    if (!flight) {
      flight = new Promise((resolve, reject) => {
        reads.push({ uid, key, resolve, reject });
        schedule();
      });
      flights.set(key, flight);
    }
    return flight;
  }

  function schedule(): void {
    if (scheduled || open >= LANES || reads.length + writes.length === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      open++;
      void drain().finally(() => {
        open--;
        schedule();
      });
    });
  }

  async function drain(): Promise<void> {
    const asked = reads;
    const written = writes;
    reads = [];
    writes = [];
    const commands: string[][] = written.map(([key, row]) => ["SET", key, JSON.stringify(row)]);
    if (asked.length > 0) commands.push(["MGET", ...asked.map(({ key }) => key)]);
    try {
      const response = await fetch(`${url}/pipeline`, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(commands) });
      const replies: { result?: (string | null)[] }[] = await response.json();
      for (const [key] of written) flights.delete(key);
      const found = replies.at(-1)?.result ?? [];
      for (const [i, read] of asked.entries()) answer(read, found[i]);
    } catch (error) {
      for (const [key] of written) flights.delete(key);
      for (const read of asked) fail(read, error);
    }
  }

  function answer(read: Read, text: string | null | undefined): void {
    if (typeof text !== "string") return void loadOne(read);
    const row: Row = JSON.parse(text);
    local.set(read.key, row);
    flights.delete(read.key);
    read.resolve(row);
  }

  async function loadOne(read: Read): Promise<void> {
    try {
      const row = await load(read.uid);
      local.set(read.key, row);
      read.resolve(row);
      writes.push([read.key, row]);
      schedule();
    } catch (error) {
      fail(read, error);
    }
  }

  function fail(read: Read, error: unknown): void {
    flights.delete(read.key);
    read.reject(error);
  }

  async function settle(): Promise<void> {
    while (flights.size > 0) await new Promise(setImmediate);
  }

  return { get, getMany: (uids) => Promise.all(uids.map(get)), settle, reports: new Map() };
}
