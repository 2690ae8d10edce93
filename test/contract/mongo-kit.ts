/**
 * What the tests of both storages on MongoDB plant with the bare driver. It declares no test.
 *
 * @module
 */
import type { Collection } from "mongodb";

/** A document whose id is a key. */
export interface Keyed {
  readonly _id: string;
}

/** A life without end, as the storages write it. */
export const FOREVER = new Date(253_402_300_799_999);

/**
 * Puts text into every field that the storages use, of the type they give it, as somebody could who knows them: bytes, their
 * first eight again, an end. A generation's number cannot hold text; it is text there.
 */
export async function plantText(collection: Collection<Keyed>, key: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  const fields = { v: bytes, s: bytes.subarray(0, 8), g: text, exp: FOREVER };
  await collection.updateOne({ _id: key }, { $set: fields }, { upsert: true });
}

/** Documents that nobody made for a cache, by field: all of them are absent slots. */
export function foreignDocuments(): readonly object[] {
  const exp = new Date(Date.now() + 60_000);
  return [{}, { v: "text" }, { v: ["a list"], exp }, { v: null, exp: "soon" }, { v: { position: 1 }, exp }, { exp: 7, s: "text" }, { g: "text", exp }];
}
