import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, describe } from "vitest";
import { mongoDataApiServer } from "../../adapters/mongo-data-api-server.ts";
import { mongoDataApi } from "../../adapters/mongo-data-api.ts";
import { mongodb } from "../../adapters/mongodb.ts";
import { startMongo, type MongoServer } from "../servers/ferretdb.ts";
import { isLeftOut, listen } from "../servers/process.ts";
import { HTTP_FAULTS, runFetched, runProxied, TCP_FAULTS, type Client } from "./lane.ts";

const API_KEY = "canary-api-key-0123456789";

let server: MongoServer;
let api: Server;
let apiPort = 0;

beforeAll(async () => {
  if (isLeftOut("ferretdb")) return;
  server = await startMongo();
  // FerretDB reads all of a collection for some filters: each client has one of its own.
  api = createServer((incoming, outgoing) => {
    void serve(incoming).then(async (response) => {
      outgoing.writeHead(response.status, { "content-type": response.headers.get("content-type") ?? "" });
      outgoing.end(new Uint8Array(await response.arrayBuffer()));
    });
  });
  apiPort = await listen(api);
}, 300_000);

afterAll(async () => {
  api?.closeAllConnections();
  api?.close();
  await server?.stop();
});

async function serve(incoming: IncomingMessage): Promise<Response> {
  const path = incoming.url ?? "/";
  const name = path.split("/")[1] ?? "";
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) if (chunk instanceof Uint8Array) chunks.push(chunk);
  const headers = Object.entries(incoming.headers).map(([header, value]): [string, string] => [header, String(value)]);
  const collection = server.client.db("cacheme").collection<{ readonly _id: string }>(name);
  const handler = mongoDataApiServer({ collection, dataSource: "main", apiKey: API_KEY });
  return handler(new Request(`http://127.0.0.1${path}`, { method: "POST", headers, body: Buffer.concat(chunks) }));
}

async function overSocket(port: number): Promise<Client> {
  // One connection, as FerretDB needs; one that is silent ends after a while.
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    maxPoolSize: 1,
    retryWrites: false,
    retryReads: false,
    serverSelectionTimeoutMS: 2_000,
    connectTimeoutMS: 2_000,
    socketTimeoutMS: 2_000,
    heartbeatFrequencyMS: 500,
  });
  await client.connect();
  return { storage: mongodb({ collection: client.db("cacheme").collection<{ readonly _id: string }>(randomUUID()) }), close: () => client.close() };
}

async function overHttp(port: number): Promise<Client> {
  const name = randomUUID();
  const endpoint = `http://127.0.0.1:${port}/${name}`;
  return { storage: mongoDataApi({ endpoint, apiKey: API_KEY, dataSource: "main", database: "cacheme", collection: name }), close: () => undefined };
}

describe.skipIf(isLeftOut("ferretdb"))("guarantee 9: MongoDB", () => {
  runProxied("mongodb()", TCP_FAULTS, () => server.port, overSocket, { secrets: [API_KEY] });
  runProxied("mongoDataApi()", HTTP_FAULTS, () => apiPort, overHttp, { secrets: [API_KEY] });
  runFetched("mongoDataApi()", () => apiPort, overHttp, { secrets: [API_KEY] });
});
