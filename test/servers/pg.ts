/**
 * The little of the official `pg` client that the tests use, typed, because the package brings no types.
 *
 * @module
 */
import { createRequire } from "node:module";

/** One column of an answer. */
export interface PgField {
  readonly name: string;
  readonly dataTypeID: number;
  readonly tableID: number;
  readonly columnID: number;
  readonly dataTypeSize: number;
  readonly dataTypeModifier: number;
  readonly format: string;
}

/** An answer. */
export interface PgResult {
  readonly command: string;
  readonly rowCount: number | null;
  readonly fields: readonly PgField[];
  readonly rows: Record<string, unknown>[];
}

/** A statement with its parameters; `types` and `rowMode` change how the answer is read. */
export interface PgQuery {
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly rowMode?: "array";
  readonly types?: { getTypeParser(oid: number): (text: string) => unknown };
}

/** One connection. `connection` emits `readyForQuery` once for each round trip. */
export interface PgClient {
  readonly connection: { on(event: "readyForQuery", listener: () => void): void };
  query(text: string, values?: readonly unknown[]): Promise<PgResult>;
  query(query: PgQuery): Promise<PgResult>;
  release(): void;
  end(): Promise<void>;
}

/** Several connections. */
export interface PgPool {
  connect(): Promise<PgClient>;
  query(text: string, values?: readonly unknown[]): Promise<PgResult>;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "connect", listener: (client: PgClient) => void): void;
  end(): Promise<void>;
}

interface PoolOptions {
  readonly connectionString: string;
  readonly max?: number;
  /** 0 keeps idle connections. */
  readonly idleTimeoutMillis?: number;
}

/** The parts are loaded by themselves: the package as a whole does not load where `import` is a condition of `require` too. */
const load = createRequire(import.meta.url);

function isConstructor<Type>(value: unknown): value is Type {
  return typeof value === "function";
}

function part<Type>(name: string): Type {
  const loaded: unknown = load(name);
  const main: unknown = typeof loaded === "object" && loaded !== null && "default" in loaded ? loaded.default : loaded;
  if (!isConstructor<Type>(main)) throw new Error(`the package ${name} is not what it was`);
  return main;
}

const Client = part<new (url: string) => PgClient & { connect(): Promise<void> }>("pg/lib/client.js");
const Pool = part<new (options: PoolOptions & { readonly Client: unknown }) => PgPool>("pg-pool");

/** Opens one connection. */
export async function connectPg(url: string): Promise<PgClient> {
  const client = new Client(url);
  await client.connect();
  return client;
}

/** Makes a pool; it connects when it is used. */
export function poolPg(options: PoolOptions): PgPool {
  return new Pool({ ...options, Client });
}
