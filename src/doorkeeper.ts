/**
 * A doorkeeper lets a key into the cache only on its second arrival, so that keys asked for once do not push out the ones
 * asked for often. The one here is a Bloom filter (Bloom, 1970) in blocks (Putze, Sanders and Singler, 2007): all bits of a
 * key lie in one block of 64 bytes, so that an arrival touches one cache line. It remembers hashes, never keys, and forgets
 * everything at once when it has seen as many arrivals as it was made for.
 *
 * @module
 */
import { describe } from "./duration.ts";
import { optionsOf } from "./fields.ts";
import { hashString, randomSalt, scramble } from "./local/string-hash.ts";

/** Decides whether a value may be stored. */
export interface Doorkeeper {
  /** Which tiers it guards: the local ones (default), or all. A chain of one kind is guarded whole. */
  readonly guards: "local" | "all";
  /** Records an arrival of a node's key; `true` if that key had arrived before and may be stored. */
  admit(node: string, key: string): boolean;
}

/** Options of {@link bloomFilter}. */
export interface BloomFilterOptions {
  /** Arrivals, repeated ones included, after which the filter is cleared; 1 to 2^24. */
  readonly capacity: number;
  /** Share of first arrivals that a filter full to its capacity takes for later ones; 0.000001 to 0.5. Default: 0.01. */
  readonly falsePositiveRate?: number | undefined;
  /** See {@link Doorkeeper.guards}. Default: `"local"`. */
  readonly guards?: "local" | "all" | undefined;
}

const BLOCK_BITS = 512;
const BLOCK_WORDS = BLOCK_BITS / 32;
const LARGEST_CAPACITY = 2 ** 24;
const MIN_RATE = 1e-6;
const MAX_RATE = 0.5;

/**
 * Makes a doorkeeper from a Bloom filter. At the default rate it takes about 10 bits for each key of its capacity.
 *
 * A key is refused once and admitted from then on, until the filter is cleared: when `capacity` arrivals have been recorded,
 * the next one is judged, the bits are cleared, and it becomes the first of the next round. Equal keys of different nodes
 * are different keys, so that one filter can serve several nodes.
 *
 * Invariant: between two clearings there is no false refusal of a key that had arrived; a false admission has at most about
 * the chance of `falsePositiveRate`.
 *
 * Memory is taken at the first arrival, not here.
 *
 * @throws TypeError naming the option and the value.
 *
 * @example
 * ```ts
 * import { bloomFilter } from "cacheme";
 *
 * const doorkeeper = bloomFilter({ capacity: 100_000 });
 * doorkeeper.admit("UserInfo", "user:1:info"); // false: seen for the first time
 * doorkeeper.admit("UserInfo", "user:1:info"); // true
 * ```
 */
export function bloomFilter(options: BloomFilterOptions): Doorkeeper {
  const { capacity, rate, guards } = checked(options);
  let filter: Filter | undefined;
  let arrivals = 0;
  return {
    guards,
    admit(node, key) {
      filter ??= createFilter(capacity, rate);
      if (arrivals < capacity) {
        arrivals++;
        return filter.put(node, key);
      }
      const known = filter.has(node, key);
      filter.clear();
      filter.put(node, key);
      arrivals = 1;
      return known;
    },
  };
}

/** A set of keys that may take a stranger for a member, but never a member for a stranger. */
interface Filter {
  has(node: string, key: string): boolean;
  /** Adds a key; `true` if it seemed to be in already. */
  put(node: string, key: string): boolean;
  clear(): void;
}

function createFilter(capacity: number, rate: number): Filter {
  const { bitsPerKey, hashes } = shapeFor(rate);
  const blocks = Math.ceil((capacity * bitsPerKey) / BLOCK_BITS);
  const table = new Int32Array(blocks * BLOCK_WORDS);
  const blockSalt = randomSalt();
  const bitSalt = randomSalt();
  // The node's hash seeds the key's, in two independent hashes: one chooses the block, one the bits in it. Most arrivals are of
  // the node of the arrival before.
  let seeded: string | undefined;
  let blockSeed = 0;
  let bitSeed = 0;
  const visit = (node: string, key: string, mark: boolean): boolean => {
    if (node !== seeded) {
      seeded = node;
      blockSeed = hashString(node, blockSalt);
      bitSeed = hashString(node, bitSalt);
    }
    // As `hashString` does, twice in one pass: reading the text is most of the work.
    let forBlock = blockSeed ^ key.length;
    let forBits = bitSeed ^ key.length;
    for (let index = 0; index < key.length; index++) {
      const unit = key.charCodeAt(index);
      forBlock = Math.imul(forBlock ^ unit, 0x2c1b3c6d);
      forBlock = (forBlock << 13) | (forBlock >>> 19);
      forBits = Math.imul(forBits ^ unit, 0x297a2d39);
      forBits = (forBits << 15) | (forBits >>> 17);
    }
    const block = Math.floor(((scramble(forBlock) >>> 0) / 0x1_0000_0000) * blocks);
    let bits = scramble(forBits);
    let known = true;
    for (let index = 0; index < hashes; index++) {
      // A multiplicative generator; its top 9 bits are the position in the block.
      bits = (Math.imul(bits, 0x2c9277b5) + 0x3c6ef35f) | 0;
      const position = bits >>> 23;
      const word = block * BLOCK_WORDS + (position >>> 5);
      const before = table[word] ?? 0;
      const after = before | (1 << (position & 31));
      if (before === after) continue;
      known = false;
      if (!mark) break;
      table[word] = after;
    }
    return known;
  };
  return { has: (node, key) => visit(node, key, false), put: (node, key) => visit(node, key, true), clear: () => table.fill(0) };
}

/**
 * The fewest bits for each key, and the hashes, that keep a full filter within the rate. An unblocked filter needs
 * log2(1/rate) / ln 2 bits; blocks need more, because some get more keys than others.
 */
function shapeFor(rate: number): { bitsPerKey: number; hashes: number } {
  let bitsPerKey = Math.log2(1 / rate) / Math.LN2;
  for (;;) {
    const hashes = Math.max(1, Math.round(bitsPerKey * Math.LN2));
    if (expectedRate(bitsPerKey, hashes) <= rate) return { bitsPerKey, hashes };
    bitsPerKey *= 1.02;
  }
}

/** False positives of a full blocked filter: the number of keys in a block is Poisson distributed around its mean. */
function expectedRate(bitsPerKey: number, hashes: number): number {
  const mean = BLOCK_BITS / bitsPerKey;
  let probability = Math.exp(-mean);
  let rate = 0;
  for (let keys = 1; keys <= mean * 4 + 20; keys++) {
    probability *= mean / keys;
    const filled = 1 - (1 - 1 / BLOCK_BITS) ** (keys * hashes);
    rate += probability * filled ** hashes;
  }
  return rate;
}

function checked(options: BloomFilterOptions): { capacity: number; rate: number; guards: "local" | "all" } {
  const { capacity, falsePositiveRate: rate = 0.01, guards = "local" } = optionsOf(options, ["capacity", "falsePositiveRate", "guards"], "bloomFilter");
  if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= LARGEST_CAPACITY)) {
    throw new TypeError(`bloomFilter: capacity must be a whole number from 1 to ${LARGEST_CAPACITY}, got ${describe(capacity)}`);
  }
  if (!(typeof rate === "number" && rate >= MIN_RATE && rate <= MAX_RATE)) {
    throw new TypeError(`bloomFilter: falsePositiveRate must be a number from ${MIN_RATE} to ${MAX_RATE}, got ${describe(rate)}`);
  }
  if (guards !== "local" && guards !== "all") throw new TypeError(`bloomFilter: guards must be "local" or "all", got ${describe(guards)}`);
  return { capacity, rate, guards };
}
