/**
 * The fault kit inside a Worker: what it does there is answered as JSON.
 *
 * @module
 */
import { createCache, defineNode } from "../../src/index.ts";
import { createFleet, fakeClock, faultyFetch, faultyStorage, memoryStorage } from "../../testing/index.ts";

const Item = defineNode({ name: "kit-worker-item", key: (id: number) => `${id}`, load: (id) => `item ${id}`, caches: [{ storage: "shared", ttl: "1m" }] });

/** How many of these seeds showed an old value after an invalidation that resolved. */
async function oldValues(seeds: number): Promise<number> {
  let old = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const rows = { price: 1 };
    const fleet = createFleet({ isolates: 3, seed, faults: 0.1 });
    const Price = defineNode({
      name: "kit-worker-price",
      allowRedefine: true,
      key: (id: number) => `${id}`,
      load: () => fleet.source(() => rows.price),
      caches: [{ storage: "shared", ttl: "1h" }],
    });
    const [, changed] = await fleet.run([
      { isolate: 0, run: (cache) => cache.get(Price(1)) },
      { isolate: 1, run: (cache) => ((rows.price = 2), cache.invalidate(Price(1))) },
      { crash: 0 },
    ]);
    const [after] = await fleet.run([{ isolate: 2, run: (cache) => cache.get(Price(1)) }]);
    if (changed?.status === "fulfilled" && after?.status === "fulfilled" && after.value !== 2) old += 1;
  }
  return old;
}

/** A value from behind a storage that hangs, by a clock that only the request moves. */
async function behindSilence(): Promise<unknown> {
  const clock = fakeClock();
  const shared = faultyStorage(memoryStorage({ clock }), { clock });
  shared.always("all", "hang-forever");
  const got = createCache({ clock, storages: { shared }, guard: { timeout: 100 } }).get(Item(1));
  await clock.advance(1_000);
  return got;
}

async function statuses(): Promise<readonly number[]> {
  const fetch = faultyFetch(async () => new Response("fine"));
  fetch.plan("503", "html");
  return [(await fetch("http://origin/")).status, (await fetch("http://origin/")).status, (await fetch("http://origin/")).status];
}

export async function handle(): Promise<Response> {
  return Response.json({ old: await oldValues(20), value: await behindSilence(), statuses: await statuses() });
}
