import net, { type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { faultProxy, httpReply, type FaultProxy } from "../../testing/index.ts";
import { fetchOnce } from "../servers/http-client.ts";
import { listen } from "../servers/process.ts";

let proxy: FaultProxy;
let seen: string[] = [];
const sockets = new Set<Socket>();
/** Answers each piece it gets with the same in upper case. */
const server = net.createServer((socket) => {
  sockets.add(socket);
  socket.on("data", (data) => {
    seen.push(data.toString());
    socket.write(data.toString().toUpperCase());
    if (data.toString() === "bye") socket.end();
  });
  socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
});

beforeAll(async () => {
  proxy = await faultProxy({ net, port: await listen(server) });
});
afterEach(() => {
  proxy.heal();
  seen = [];
});
afterAll(async () => {
  await proxy.stop();
  await new Promise((resolve) => server.close(resolve));
});

interface Client {
  readonly socket: Socket;
  received(): string;
  /** How it ended: `"end"`, or the code of its error. */
  readonly ended: Promise<string>;
  send(text: string): void;
}

function client(): Client {
  const socket = net.connect({ port: proxy.port, host: "127.0.0.1", noDelay: true });
  let received = "";
  socket.on("data", (data) => (received += data.toString("latin1")));
  const ended = new Promise<string>((resolve) => {
    socket.on("end", () => resolve("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
  });
  return { socket, received: () => received, ended, send: (text) => void socket.write(text) };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(condition()).toBe(true);
}

/** Long enough for anything on this machine that is not held back to have happened. */
const silence = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

describe("faultProxy", () => {
  test("passes everything, and the end of a connection behind its last reply", async () => {
    const one = client();
    one.send("hello");
    await until(() => one.received() === "HELLO");
    one.send("bye");
    expect([await one.ended, one.received()]).toEqual(["end", "HELLOBYE"]);
  });

  test("resets before the server sees the request, or when its reply arrives", async () => {
    proxy.plan("reset", "reset-after");
    const [one, two] = [client(), client()];
    one.send("one");
    expect([await one.ended, seen]).toEqual(["ECONNRESET", []]);
    two.send("two");
    expect([await two.ended, two.received(), seen]).toEqual(["ECONNRESET", "", ["two"]]);
  });

  test("hangs, and resets what hung when it is healed", async () => {
    const { requests, faults } = proxy.counts;
    proxy.plan("hang", "hang-after");
    const [one, two] = [client(), client()];
    one.send("one");
    await until(() => proxy.counts.requests === requests + 1);
    two.send("two");
    await until(() => seen.length === 1);
    one.send("more");
    await silence();
    expect([one.received(), two.received(), seen, proxy.counts.faults - faults]).toEqual(["", "", ["two"], 2]);
    proxy.heal();
    expect(await Promise.all([one.ended, two.ended])).toEqual(["ECONNRESET", "ECONNRESET"]);
  });

  test("a half-open connection stays silent, also once it is healed", async () => {
    proxy.plan("half-open");
    const one = client();
    one.send("one");
    await silence();
    proxy.heal();
    one.send("two");
    await silence();
    expect([one.received(), seen, one.socket.destroyed]).toEqual(["", [], false]);
    proxy.cut();
    expect(await one.ended).toBe("ECONNRESET");
  });

  test("cuts replies short, drips them, and turns them into noise", async () => {
    proxy.plan({ truncate: 3 }, { dripMs: 5 }, "garbage");
    const [one, two, three] = [client(), client(), client()];
    one.send("hello");
    expect([await one.ended, one.received()]).toEqual(["end", "HEL"]);
    two.send("a long sentence");
    await until(() => two.received() === "A LONG SENTENCE");
    three.send("hello");
    await until(() => three.received().length === 5);
    expect(three.received()).not.toBe("HELLO");
    two.socket.destroy();
    three.socket.destroy();
  });

  test("delays requests in their order", async () => {
    proxy.plan({ delayMs: 150 });
    const one = client();
    const began = performance.now();
    one.send("one");
    await until(() => proxy.counts.connections > 0 && one.received() === "ONE");
    // Timers may be early by a ms.
    expect(performance.now() - began).toBeGreaterThan(140);
    one.socket.destroy();
  });

  test("answers in place of the server, for clients of HTTP", async () => {
    proxy.always({ reply: httpReply(503, "é") });
    expect(await fetchOnce(`http://127.0.0.1:${proxy.port}/`, { method: "POST", body: "x".repeat(100_000) })).toMatchObject({
      kind: "answer",
      status: 503,
      body: "é",
      headers: { "content-type": "application/json", "content-length": "2" },
    });
    expect(seen).toEqual([]);
  });

  test("refuses faults that there are not", () => {
    for (const fault of ["refuse", 1, {}, { truncate: -1 }, { reply: 503 }])
      expect(() => Reflect.apply(proxy.plan, proxy, [fault])).toThrow("faultProxy: there is no fault");
  });

  test("a server that is not there is a reset, and stopping ends all connections", async () => {
    const gone = net.createServer();
    const port = await listen(gone);
    await new Promise((resolve) => gone.close(resolve));
    const nowhere = await faultProxy({ net, port });
    const one = net.connect(nowhere.port, "127.0.0.1");
    const code = new Promise((resolve) => one.on("error", (error: NodeJS.ErrnoException) => resolve(error.code)));
    one.write("hello");
    expect(await code).toBe("ECONNRESET");
    await nowhere.stop();
    await expect(fetch(`http://127.0.0.1:${nowhere.port}/`)).rejects.toThrow();
  });
});
