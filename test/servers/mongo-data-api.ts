/**
 * `mongoDataApiServer()` behind HTTP, in front of a real database: the handler that the package publishes, one for each
 * collection, served under `/COLLECTION/v1/action/...`. The gate around it counts requests and makes them fail; what the
 * handlers were told of the database's errors is kept.
 *
 * @module
 */
import type { MongoClient } from "mongodb";
import { mongoDataApiServer } from "../../adapters/mongo-data-api-server.ts";
import type { MongoDataApiOptions } from "../../adapters/mongo-data-api.ts";
import { startHttpGate, type HttpGate } from "./http-gate.ts";

/** A running server. */
export interface MongoDataApi extends HttpGate {
  /** What every client gives. */
  readonly access: { readonly apiKey: string; readonly dataSource: string; readonly database: string };
  /** What the database threw so far. */
  readonly errors: readonly unknown[];
  /** The options of `mongoDataApi()` for a collection. */
  optionsFor(collection: string): MongoDataApiOptions;
}

const ACCESS = { apiKey: "a-key-of-the-tests-0123456789", dataSource: "main", database: "cacheme" };

/** Starts a server that reaches every collection of one database through `client`. */
export async function startMongoDataApi({ client }: { readonly client: MongoClient }): Promise<MongoDataApi> {
  const handlers = new Map<string, (request: Request) => Promise<Response>>();
  const errors: unknown[] = [];
  function handlerFor(name: string): (request: Request) => Promise<Response> {
    const { apiKey, dataSource, database } = ACCESS;
    const collection = client.db(database).collection(name);
    const handler = handlers.get(name) ?? mongoDataApiServer({ collection, dataSource, apiKey, onError: (error) => errors.push(error) });
    handlers.set(name, handler);
    return handler;
  }
  const gate = await startHttpGate(async ({ method, path, headers, body }) => {
    const collection = /^\/([\w-]+)\/v1\//.exec(path)?.[1];
    if (collection === undefined) return { status: 404, body: "" };
    const given = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
    const response = await handlerFor(collection)(new Request(gate.url + path, { method, headers: given, body: body === "" ? null : body }));
    return { status: response.status, body: await response.text(), contentType: response.headers.get("content-type") ?? "" };
  });
  return Object.assign(gate, {
    access: ACCESS,
    errors,
    optionsFor: (collection: string) => ({ ...ACCESS, endpoint: `${gate.url}/${collection}/v1`, collection }),
  });
}
