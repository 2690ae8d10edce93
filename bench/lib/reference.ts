/**
 * The measure: what a careful programmer writes by hand for exactly this job, and no more. A bounded Map with a clock hand,
 * a table of promises, reads merged into one MGET a turn, writes pipelined, a key in flight until its SET has landed. No
 * expiry, no invalidation, no guard against races, no events; a failing Redis fails the request.
 *
 * @module
 */
import type { Redis } from "ioredis";
import { Packr } from "msgpackr";
import type { Contestant, Load, Row } from "./contestant.ts";

interface Read {
  readonly uid: number;
  readonly key: string;
  resolve(row: Row | Promise<Row>): void;
  reject(error: unknown): void;
}

const MAX_BATCH = 1_000;

/** The hand-written cache over `client`; `capacity` 0 leaves the local tier out. */
export function createReference(client: Redis, capacity: number, load: Load): Contestant {
  const packr = new Packr({ useRecords: false });
  const local = clock(capacity);
  const flights = new Map<string, Promise<Row>>();
  let reads: Read[] = [];
  let writes: [key: string, row: Row][] = [];

  function get(uid: number): Promise<Row> {
    const key = `uid:${uid}`;
    const hit = local.get(key);
    if (hit) return Promise.resolve(hit);
    let flight = flights.get(key);
    if (!flight) {
      flight = new Promise((resolve, reject) => {
        if (reads.push({ uid, key, resolve, reject }) === 1) setImmediate(drainReads);
      });
      flights.set(key, flight);
    }
    return flight;
  }

  function drainReads(): void {
    const all = reads;
    reads = [];
    for (let at = 0; at < all.length; at += MAX_BATCH) void readChunk(all.slice(at, at + MAX_BATCH));
  }

  async function readChunk(chunk: readonly Read[]): Promise<void> {
    try {
      const found = await client.mgetBuffer(chunk.map((read) => read.key));
      for (const [i, read] of chunk.entries()) {
        const bytes = found[i];
        if (bytes) {
          const row: Row = packr.unpack(bytes);
          local.set(read.key, row);
          flights.delete(read.key);
          read.resolve(row);
        } else void loadOne(read);
      }
    } catch (error) {
      for (const read of chunk) fail(read, error);
    }
  }

  async function loadOne(read: Read): Promise<void> {
    try {
      const row = await load(read.uid);
      local.set(read.key, row);
      read.resolve(row);
      if (writes.push([read.key, row]) === 1) setImmediate(() => void drainWrites());
    } catch (error) {
      fail(read, error);
    }
  }

  async function drainWrites(): Promise<void> {
    const all = writes;
    writes = [];
    const pipeline = client.pipeline();
    for (const [key, row] of all) pipeline.set(key, packr.pack(row));
    await pipeline.exec();
    for (const [key] of all) flights.delete(key);
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

/** A Map of at most `capacity` rows; a hit sets a bit, and the hand takes the first row it meets without one. */
export function clock(capacity: number): { get(key: string): Row | undefined; set(key: string, row: Row): void } {
  const places = new Map<string, number>();
  const keys: string[] = [];
  const rows: Row[] = [];
  const used = new Uint8Array(capacity);
  let hand = 0;
  function freePlace(): number {
    if (keys.length < capacity) return keys.length;
    while (used[hand] === 1) {
      used[hand] = 0;
      hand = (hand + 1) % capacity;
    }
    const place = hand;
    hand = (hand + 1) % capacity;
    places.delete(keys[place] ?? "");
    return place;
  }
  return {
    get(key) {
      const place = places.get(key);
      if (place === undefined) return undefined;
      used[place] = 1;
      return rows[place];
    },
    set(key, row) {
      if (capacity === 0) return;
      const place = places.get(key) ?? freePlace();
      places.set(key, place);
      keys[place] = key;
      rows[place] = row;
    },
  };
}
