/** What only projects with `exactOptionalPropertyTypes` are told. */

import { createCache, defineNode } from "cacheme";
import type { LoadContext, LocalTier, Storage } from "cacheme";
import { caches } from "./assert.ts";

interface Env {
  readonly DB: string;
}
declare const given: Env;
declare const perhaps: Env | undefined;
declare const storages: { readonly local: LocalTier; readonly redis: Storage };

const Asking = defineNode({ name: "Asking", key: () => "k", load: (_: void, { env }: LoadContext<Env>) => env.DB, caches });
const cache = createCache({ storages });

void cache.with({ env: given }).get(Asking());
// @ts-expect-error the env may be undefined, and the node needs it
void cache.with({ env: perhaps }).get(Asking());
