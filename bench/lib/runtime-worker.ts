/**
 * The hot path in a Worker. Its clock stands still during a request, so whoever asks measures from outside.
 *
 * @module
 */
import { loop } from "./runtime-loop.ts";
import type { LoopKind } from "./runtime-loop.ts";

export async function handle(request: Request): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const kind = searchParams.get("kind") ?? "";
  if (!isKind(kind)) return new Response("no such kind", { status: 400 });
  await loop(kind, Number(searchParams.get("calls")));
  return new Response("done");
}

function isKind(kind: string): kind is LoopKind {
  return kind === "oneKey" || kind === "zipf" || kind === "batches";
}
