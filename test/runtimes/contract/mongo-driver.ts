/**
 * The storage on MongoDB's official driver, which runs wherever there are sockets as Node has them.
 *
 * @module
 */
import { MongoClient } from "mongodb";
import { mongodb } from "../../../adapters/mongodb.ts";
import { smallBatches } from "./anywhere.ts";
import type { Opened } from "./run.ts";

/** A collection for each clause: FerretDB reads all of one for a filter that names more than the id, and wants one connection. */
export async function openMongo({ url }: { readonly url: string }): Promise<Opened> {
  const client = new MongoClient(url, { maxPoolSize: 1, retryWrites: false, serverSelectionTimeoutMS: 5_000 });
  await client.connect();
  const database = client.db(`cacheme-${crypto.randomUUID()}`);
  return { storage: () => smallBatches(mongodb({ collection: database.collection(crypto.randomUUID()) })), close: () => client.close() };
}
