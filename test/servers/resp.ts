/**
 * The Redis protocol (RESP2) for the test servers: an incremental reader of values, and a small client on a socket whose
 * strings are Buffers. It knows no cluster, no push messages and no RESP3.
 *
 * @module
 */
import { connect } from "node:net";

/** A value of the protocol. Simple strings are `string`, bulk strings are `Buffer`, errors are `RespError`. */
export type RespValue = string | number | Buffer | null | RespError | RespValue[];

/** An error that the server answered, as a value: inside an array it must not be thrown. */
export class RespError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

const CRLF = 2;

/** Reads values from chunks that may end anywhere. */
export class RespReader {
  #data: Buffer = Buffer.alloc(0);
  #at = 0;

  /** Every value that is complete with this chunk. */
  push(chunk: Buffer): RespValue[] {
    this.#data = this.#at < this.#data.length ? Buffer.concat([this.#data.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
    const values: RespValue[] = [];
    for (;;) {
      const start = this.#at;
      const value = this.#value();
      if (value === undefined) {
        this.#at = start;
        return values;
      }
      values.push(value);
    }
  }

  #line(): string | undefined {
    const end = this.#data.indexOf("\r\n", this.#at, "latin1");
    if (end < 0) return undefined;
    const line = this.#data.toString("utf8", this.#at, end);
    this.#at = end + CRLF;
    return line;
  }

  #value(): RespValue | undefined {
    const line = this.#line();
    if (line === undefined) return undefined;
    const rest = line.slice(1);
    switch (line[0]) {
      case "+":
        return rest;
      case "-":
        return new RespError(rest);
      case ":":
        return Number(rest);
      case "$":
        return this.#bulk(Number(rest));
      case "*":
        return this.#array(Number(rest));
      default:
        throw new Error(`not RESP: ${JSON.stringify(line.slice(0, 40))}`);
    }
  }

  #bulk(length: number): Buffer | null | undefined {
    if (length < 0) return null;
    const end = this.#at + length;
    if (this.#data.length < end + CRLF) return undefined;
    const bulk = Buffer.from(this.#data.subarray(this.#at, end));
    this.#at = end + CRLF;
    return bulk;
  }

  #array(length: number): RespValue[] | null | undefined {
    if (length < 0) return null;
    const items: RespValue[] = [];
    while (items.length < length) {
      const item = this.#value();
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  }
}

/** A connection to a Redis. */
export interface RespConnection {
  /** Rejects with an `Error` of the server's message, or of the lost connection. */
  command(args: readonly (string | Uint8Array)[]): Promise<RespValue>;
  /** Sends several commands in one write; errors are values. */
  commands(list: readonly (readonly (string | Uint8Array)[])[]): Promise<RespValue[]>;
  close(): void;
}

interface Waiter {
  resolve(value: RespValue): void;
  reject(error: Error): void;
}

/** Connects at the first command, and again after a lost connection. */
export function connectRedis(port: number): RespConnection {
  let current: ReturnType<typeof open> | undefined;
  function open(): { write(data: Buffer): void; waiting: Waiter[]; close(): void } {
    const waiting: Waiter[] = [];
    const reader = new RespReader();
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      for (const value of reader.push(chunk)) waiting.shift()?.resolve(value);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      current = undefined;
      for (const waiter of waiting.splice(0)) waiter.reject(new Error("the connection to Redis was lost"));
    });
    return { write: (data) => socket.write(data), waiting, close: () => socket.destroy() };
  }
  function commands(list: readonly (readonly (string | Uint8Array)[])[]): Promise<RespValue[]> {
    current ??= open();
    const { waiting, write } = current;
    const replies = list.map(() => new Promise<RespValue>((resolve, reject) => waiting.push({ resolve, reject })));
    write(Buffer.concat(list.map(encode)));
    return Promise.all(replies);
  }
  return {
    commands,
    async command(args) {
      const [value = null] = await commands([args]);
      if (value instanceof RespError) throw new Error(value.message);
      return value;
    },
    close: () => current?.close(),
  };
}

/** A command as a client sends it. */
export function encode(args: readonly (string | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === "string" ? Buffer.from(arg) : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}
