/**
 * The storages that exist in every runtime: the one in memory, and those that speak HTTP by `fetch`, on the vendors' own
 * drivers.
 *
 * @module
 */
import { neonConfig } from "@neondatabase/serverless";
import { libsql } from "../../../adapters/libsql.ts";
import { mongoDataApi } from "../../../adapters/mongo-data-api.ts";
import { neon } from "../../../adapters/neon.ts";
import { planetscale } from "../../../adapters/planetscale.ts";
import { upstash } from "../../../adapters/upstash.ts";
import type { Storage } from "../../../src/storage.ts";
import { memoryStorage } from "../../../testing/index.ts";
import type { Addresses } from "./protocol.ts";
import type { Opened, Openers } from "./run.ts";
import { telling } from "../../contract/telling.ts";

export function storagesAnywhere(addresses: Addresses): Openers {
  return {
    memoryStorage: openMemory,
    upstash: given(addresses.upstash, ({ url, token }) => ({ storage: upstash({ url, token }) })),
    neon: given(addresses.neon, ({ connectionString, endpoint }) => {
      // The driver derives the address from the host's name; this is its own seam for another one.
      neonConfig.fetchEndpoint = endpoint;
      return { storage: neon({ connectionString }) };
    }),
    planetscale: given(addresses.planetscale, ({ url }) => ({ storage: telling(planetscale({ url })) })),
    libsql: given(addresses.libsql, ({ url }) => ({ storage: libsql({ url }) })),
    mongoDataApi: given(addresses.mongoDataApi, ({ url, ...access }) => ({
      storage: () => {
        const collection = crypto.randomUUID();
        return smallBatches(mongoDataApi({ ...access, endpoint: `${url}/${collection}/v1`, collection }));
      },
    })),
  };
}

/** How to open a storage whose server is there. */
export function given<Address>(address: Address | undefined, open: (address: Address) => Promise<Opened> | Opened): Openers[string] {
  return address === undefined ? undefined : () => open(address);
}

/**
 * The same storage, except that the largest batch it is asked for is one of 200. FerretDB takes time in the square of a
 * collection's size, and every runtime asks it at once; the tests of each storage take the largest batch there is.
 */
export function smallBatches(storage: Storage): Storage {
  return { ...storage, traits: { ...storage.traits, maxBatch: 200 } };
}

function openMemory(): Opened {
  let now = 1_700_000_000_000;
  return { storage: memoryStorage({ clock: { now: () => now } }), pass: (ms) => void (now += ms) };
}
