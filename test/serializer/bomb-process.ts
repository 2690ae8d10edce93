/**
 * Sets off every bomb of the corpus in this process, one after another, and prints what became of each as a line of JSON. It
 * relies on `--expose-gc`, and on Linux for the largest size that the process had, which can be set back between two bombs.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { createOwner, decodeSlot, encodeEntry } from "../../src/envelope.ts";
import { isCacheError } from "../../src/errors.ts";
import { BOMBS, type Bomb } from "./bombs.ts";
import { prototypeKeys } from "./prototypes.ts";

/** What became of a bomb. */
export interface Report {
  readonly name: string;
  /** `"value"`, `"reject"`, or what was thrown that is no typed reject. */
  readonly outcome: string;
  readonly ms: number;
  /** By how much the process grew at its largest, in MB. */
  readonly grownMb: number;
  /** Whether the value, or what every object shares, has another prototype than before. */
  readonly changed: boolean;
}

const owner = createOwner("Bomb", "", "shop");
const KEY = "shop:bomb:";
const USUAL: readonly unknown[] = [Object.prototype, Array.prototype, Map.prototype, Set.prototype, String.prototype, Number.prototype, BigInt.prototype];

for (const [name, bomb] of Object.entries(BOMBS)) console.log(JSON.stringify(await setOff(name, bomb)));

async function setOff(name: string, { serializer: make, bytes }: Bomb): Promise<Report> {
  const serializer = make();
  const times = { createdAt: 1, freshUntil: 2, expiresAt: 3, costMs: 1, generations: [] };
  const slot = encodeEntry(owner, KEY, { ...times, payload: bytes() });
  const prototypes = prototypeKeys();
  // What the making of the bytes took is given back, else the decoder would take it again unseen.
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  writeFileSync("/proc/self/clear_refs", "5");
  const before = sizeMb("VmRSS");
  const began = performance.now();
  let outcome = "value";
  let value: unknown;
  try {
    const decoded = decodeSlot(slot, owner, KEY);
    if (decoded.kind !== "entry" || !decoded.payload) throw new Error("the envelope took it for something else");
    value = await serializer.decode(decoded.payload);
  } catch (error) {
    outcome = isCacheError(error, "ERR_ENTRY_CORRUPT") ? "reject" : String(error);
  }
  const ms = performance.now() - began;
  const changed = prototypeKeys() !== prototypes || (outcome === "value" && !USUAL.includes(Object.getPrototypeOf(Object(value))));
  return { name, outcome, ms: Math.round(ms), grownMb: Math.round(sizeMb("VmHWM") - before), changed };
}

function sizeMb(field: string): number {
  const line = readFileSync("/proc/self/status", "utf8")
    .split("\n")
    .find((text) => text.startsWith(`${field}:`));
  return Number.parseInt(line?.slice(field.length + 1) ?? "", 10) / 1_024;
}
