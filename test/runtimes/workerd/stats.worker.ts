/**
 * The Worker under test for statistics: one cache whose sink is an HTTP server, so that a write is real I/O of the request that
 * makes it. A request asks for one key, holds on for a while, and ends by its answer or is killed.
 *
 * @module
 */
import { createCache, defineNode, local } from "../../../src/index.ts";
import type { Cache, Reference } from "../../../src/index.ts";

interface Environment {
  readonly SETTINGS: string;
}

interface Context {
  abort(reason?: unknown): void;
}

interface Subject {
  readonly cache: Cache;
  readonly node: (key: string) => Reference<string, string>;
}

let subject: Subject | undefined;
const events: string[] = [];

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function subjectOf(settings: { readonly sink: string; readonly windowMs: number; readonly every: number }): Subject {
  const cache = createCache({
    storages: { local: local() },
    stats: {
      window: settings.windowMs,
      every: settings.every,
      sink: {
        async write(batch) {
          const answer = await fetch(settings.sink, { method: "POST", body: JSON.stringify(batch) });
          if (!answer.ok) throw new Error(`the sink answered ${answer.status}`);
        },
      },
    },
    onEvent: ({ type }) => void events.push(type),
  });
  const node = defineNode({
    name: "Item",
    key: (key: string) => key,
    load: async (key) => {
      await sleep(60);
      return key;
    },
    caches: [{ storage: "local", ttl: "10m" }],
  });
  return { cache, node };
}

/** Answers `/?key=…&hold=ms&end=kill`, `/flush`, `/events` and `/count`. */
export async function handle(request: Request, environment: Environment, context: Context): Promise<Response> {
  subject ??= subjectOf(JSON.parse(environment.SETTINGS));
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/events") return Response.json(events);
  if (pathname === "/count") return Response.json(subject.cache.stats()["Item"]?.requestCount ?? 0);
  if (pathname === "/flush") await subject.cache.flush();
  if (pathname !== "/") return new Response("done");
  const value = await subject.cache.get(subject.node(searchParams.get("key") ?? ""));
  await sleep(Number(searchParams.get("hold") ?? 0));
  if (searchParams.get("end") === "kill") {
    context.abort(new Error("killed on purpose"));
    await new Promise(() => undefined);
  }
  return new Response(value);
}
