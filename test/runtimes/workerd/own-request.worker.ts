/**
 * A Worker that asks the cache, and then finds out in whose request it goes on: it reads its own request's body, which no
 * other request can, and sends its answer piece by piece, with timers in between that only run while their request lives.
 * Loads are timers, so that whoever leads a load has nothing else to live for when it ends.
 *
 * @module
 */
import { createCache, defineNode, local } from "cacheme";

interface Item {
  readonly key: string;
  readonly loadMs: number;
}

/** Pieces of an answer. */
const PIECES = 3;
const PIECE_MS = 2;

let loads = 0;

const cache = createCache({ storages: { local: local() } });

async function load({ key, loadMs }: Item): Promise<string> {
  loads++;
  await sleep(loadMs);
  return `value of ${key}`;
}

// Nothing is stored, so that every request leads a load or follows one.
const Thing = defineNode({ name: "Thing", key: ({ key }: Item) => key, load, caches: [{ storage: "local", ttl: 0 }] });
const memoized = cache.memoize(Thing, load);

/** What a cache would be that shares the promises of `new Promise`: for comparison. */
const shared = new Map<string, Promise<string>>();

function plainly(item: Item): Promise<string> {
  const known = shared.get(item.key);
  if (known) return known;
  const promise = new Promise<string>((resolve) => {
    void load(item).then((value) => {
      shared.delete(item.key);
      resolve(value);
    });
  });
  shared.set(item.key, promise);
  return promise;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

function ask(op: string, item: Item): Promise<unknown> {
  const view = cache.with({});
  switch (op) {
    case "get":
      return view.get(Thing(item));
    case "getAll":
      return view.getAll([Thing(item)]).then(([value]) => value);
    case "lookup":
      return view.lookup(Thing(item)).then(({ value }) => value);
    case "lookupAll":
      return view.lookupAll([Thing(item)]).then(([found]) => found && "value" in found && found.value);
    case "memoize":
      return memoized(item);
    case "refresh":
      return view.refresh(Thing(item));
    case "new Promise":
      return plainly(item);
    default:
      throw new TypeError(`no such operation: ${op}`);
  }
}

/** Asks for other keys, alone, so often that the code is optimized. */
async function warmUp(op: string): Promise<void> {
  for (let turn = 0; turn < 10; turn++) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => ask(op, { key: `${op} ${turn} ${index}`, loadMs: 0 })));
  }
}

/**
 * `POST /?op=get&key=a&ms=20` answers the value, with the request's own body; `GET /?op=get` asks in vain, many times over;
 * `GET /` answers how many loads there were.
 */
export async function handle(request: Request): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const op = query.get("op") ?? "";
  if (request.method === "GET") {
    if (op !== "") await warmUp(op);
    return Response.json({ loads });
  }
  const value = await ask(op, { key: query.get("key") ?? "", loadMs: Number(query.get("ms")) });
  const body = await request.text();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  void send(writable, JSON.stringify({ value, body }));
  return new Response(readable);
}

async function send(writable: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = writable.getWriter();
  const length = Math.ceil(text.length / PIECES);
  for (let from = 0; from < text.length; from += length) {
    await writer.write(new TextEncoder().encode(text.slice(from, from + length)));
    await sleep(PIECE_MS);
  }
  await writer.close();
}
