/**
 * A `fetch` that fails as told, for drivers that speak HTTP: what happens on a real way to a real service, from a connection
 * that is reset to somebody else's reply. It relies on the web's `Request`, `Response` and streams, so it runs on every host.
 *
 * @module
 */
import { describe } from "../src/duration.ts";
import { optionsOf } from "../src/fields.ts";
import { createFaultPlan, fieldOf, isSpan, type Rates } from "./fault-plan.ts";
import { createRandom } from "./random.ts";

/**
 * What a request can meet:
 *
 * - `"reset"`: it is not sent, and rejects with a `TypeError`, as `fetch` does. `"reset-after"`: the service has done it.
 * - `"hang"`: it is not sent, and rejects when its signal is aborted. `"hang-after"`: the service has done it.
 * - `"429"`, `"500"`, `"503"`: such a reply, with JSON that names no reason. It is not sent.
 * - `"html"`: a page with status 200, as from a proxy that has something to say. It is not sent.
 * - `"truncate"`: half of the body, then an error. `"cut-short"`: half of the body, then its end, as if that were all.
 * - `"empty"`: the status of the reply with no body. `"garbage"`: noise in place of the body.
 * - `"slow-body"`: the body comes in eight pieces, `dripMs` apart.
 * - `"swap"`: two requests get one another's replies: the first waits for the next one that meets `"swap"`, or its signal.
 */
export type FetchFaultName =
  | "reset"
  | "reset-after"
  | "hang"
  | "hang-after"
  | "429"
  | "500"
  | "503"
  | "html"
  | "truncate"
  | "cut-short"
  | "empty"
  | "garbage"
  | "slow-body"
  | "swap";

/** A fault by name, or a delay of so many ms before the request is sent, which may be followed by another fault. */
export type FetchFault = FetchFaultName | { readonly delayMs: number; readonly fault?: FetchFaultName | undefined };

/** Options of {@link faultyFetch}. */
export interface FaultyFetchOptions {
  /** What chance begins with. Default: 1. */
  readonly seed?: number | undefined;
  /** How likely requests are to fail, from 0 to 1. Default: never. */
  readonly rates?: Rates<FetchFaultName> | undefined;
  /** Between two pieces of a slow body, in ms. Default: 100. */
  readonly dripMs?: number | undefined;
  /** Whose timers delay requests and pieces. Default: the host's. */
  readonly clock?: { setTimeout(run: () => void, ms: number): unknown } | undefined;
}

/** What {@link faultyFetch} gives: call it as `fetch`. */
export interface FaultyFetch {
  (input: Request | URL | string, init?: RequestInit): Promise<Response>;
  /** How many requests were asked for, and how many of them met a fault. */
  readonly counts: { readonly requests: number; readonly faults: number };
  /** The next requests meet these faults, one each; `"pass"` lets one through. */
  plan(...faults: readonly (FetchFault | "pass")[]): void;
  /** From now on every request meets this fault, after those that were planned; `undefined`: none. */
  always(fault: FetchFault | undefined): void;
  /** From now on requests pass. One that waits for a reply to swap gets its own; those that hang go on hanging. */
  heal(): void;
}

interface Swapper {
  readonly reply: Response;
  readonly take: (reply: Response) => void;
}

const NAMES: Readonly<Record<FetchFaultName, true>> = {
  reset: true,
  "reset-after": true,
  hang: true,
  "hang-after": true,
  "429": true,
  "500": true,
  "503": true,
  html: true,
  truncate: true,
  "cut-short": true,
  empty: true,
  garbage: true,
  "slow-body": true,
  swap: true,
};

function isFault(value: unknown): value is FetchFault {
  if (typeof value === "string") return Object.hasOwn(NAMES, value);
  const after = fieldOf(value, "fault");
  return isSpan(fieldOf(value, "delayMs")) && (after === undefined || (typeof after === "string" && isFault(after)));
}

const PIECES = 8;
const PAGE = "<!doctype html><title>One moment</title><p>Checking your browser.</p>";

/**
 * Puts faults in front of a `fetch`. Until it is told otherwise every request passes.
 *
 * Replies that are spoiled are read whole first. What it cannot do is what no `fetch` shows: a connection that is reset in
 * its handshake is like any other that is reset.
 *
 * @param send the `fetch` behind. Default: the host's.
 * @param options see {@link FaultyFetchOptions}.
 * @throws TypeError for an option that there is not, for rates that are not from 0 to 1 or add up to more than 1, and, as its
 * methods do, for faults that there are not.
 * @example
 * ```ts
 * import { planetscale } from "cacheme/planetscale";
 * import { faultyFetch } from "cacheme/testing";
 *
 * const fetch = faultyFetch();
 * const shared = planetscale({ url, fetch });
 *
 * fetch.plan("503", "pass", { delayMs: 200, fault: "truncate" }); // the next three requests
 * fetch.always("html"); // and all after them
 * ```
 */
export function faultyFetch(send: (input: Request, init?: RequestInit) => Promise<Response> = fetch, options: FaultyFetchOptions = {}): FaultyFetch {
  if (typeof send !== "function") throw new TypeError(`faultyFetch: send must be a function, got ${describe(send)}`);
  const {
    seed = 1,
    rates,
    dripMs = 100,
    clock = { setTimeout: (run: () => void, ms: number) => setTimeout(run, ms) },
  } = optionsOf(options, ["seed", "rates", "dripMs", "clock"], "faultyFetch");
  const noise = createRandom(seed + 1);
  const plan = createFaultPlan<FetchFault, FetchFaultName>({ owner: "faultyFetch", isFault }, seed, rates);
  let waiting: Swapper | undefined;

  const later = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, ms));

  async function meet(request: Request, fault: FetchFault): Promise<Response> {
    if (typeof fault === "object") {
      await Promise.race([later(fault.delayMs), aborted(request.signal)]);
      return fault.fault === undefined ? send(request) : meet(request, fault.fault);
    }
    switch (fault) {
      case "reset":
        throw reset();
      case "hang":
        return aborted(request.signal);
      case "429":
      case "500":
      case "503":
        return Response.json({ message: "failed on purpose", error: "failed on purpose" }, { status: Number(fault) });
      case "html":
        return new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
      default:
        return spoil(request, await send(request), fault);
    }
  }
  async function spoil(request: Request, reply: Response, fault: FetchFaultName): Promise<Response> {
    if (fault === "swap") return swap(request, reply);
    const body = new Uint8Array(await reply.arrayBuffer());
    if (fault === "reset-after") throw reset();
    if (fault === "hang-after") return aborted(request.signal);
    const half = body.subarray(0, body.length >> 1);
    if (fault === "truncate") return again(reply, inPieces([half], request.signal, 0, reset()));
    if (fault === "cut-short") return again(reply, half);
    if (fault === "empty") return again(reply, null);
    if (fault === "garbage")
      return again(
        reply,
        body.map(() => Math.floor(noise() * 256)),
      );
    const size = Math.max(1, Math.ceil(body.length / PIECES));
    const pieces = Array.from({ length: Math.ceil(body.length / size) }, (_, index) => body.subarray(index * size, (index + 1) * size));
    return again(reply, inPieces(pieces, request.signal, dripMs));
  }
  function swap(request: Request, reply: Response): Promise<Response> {
    const first = waiting;
    if (first) {
      waiting = undefined;
      first.take(reply);
      return Promise.resolve(first.reply);
    }
    const swapped = new Promise<Response>((resolve) => {
      waiting = { reply, take: resolve };
    });
    return Promise.race([swapped, aborted(request.signal)]);
  }
  function inPieces(pieces: readonly Uint8Array[], signal: AbortSignal, ms: number, end?: Error): ReadableStream<Uint8Array> {
    let next = 0;
    return new ReadableStream({
      async pull(controller) {
        if (next > 0 && next < pieces.length && ms > 0) await Promise.race([later(ms), aborted(signal)]);
        const piece = pieces[next++];
        if (piece !== undefined && piece.length > 0) controller.enqueue(piece);
        else if (end) controller.error(end);
        else controller.close();
      },
    });
  }

  const counts = { requests: 0, faults: 0 };
  async function faulty(input: Request | URL | string, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    counts.requests += 1;
    const fault = plan.next();
    if (fault === undefined) return send(request);
    counts.faults += 1;
    request.signal.throwIfAborted();
    return meet(request, fault);
  }
  return Object.assign(faulty, {
    counts,
    plan: (...planned: readonly (FetchFault | "pass")[]) => plan.plan(planned),
    always: (fault: FetchFault | undefined) => plan.always(fault),
    heal() {
      plan.heal();
      waiting?.take(waiting.reply);
      waiting = undefined;
    },
  });
}

/** As `fetch` rejects where the connection breaks. */
function reset(): TypeError {
  return new TypeError("fetch failed");
}

/** A reply with another body, which is of another length and no longer encoded. */
function again({ status, statusText, headers }: Response, body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null): Response {
  const kept = new Headers(headers);
  for (const name of ["content-length", "content-encoding"]) kept.delete(name);
  const bodiless = status === 204 || status === 205 || status === 304;
  return new Response(bodiless ? null : body, { status, statusText, headers: kept });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
