import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCountingProxy } from "./counting-proxy.ts";
import { fetchOnce } from "./http-client.ts";
import { isLeftOut } from "./process.ts";
import { connectRedis, encode, RespError, RespReader } from "./resp.ts";
import { startRedis, type RedisServer } from "./redis.ts";
import { startUpstashBridge } from "./upstash-bridge.ts";
import { startWorkerd, workerdBinary, type WorkerdServer } from "./workerd.ts";

test("the RESP reader reads the same values however the bytes are cut", () => {
  const bytes = Buffer.concat([
    encode(["SET", "k", Uint8Array.of(0, 13, 10, 255)]),
    Buffer.from("+OK\r\n-ERR no\r\n:-5\r\n$-1\r\n*-1\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n"),
  ]);
  const expected = [
    [Buffer.from("SET"), Buffer.from("k"), Buffer.from([0, 13, 10, 255])],
    "OK",
    new RespError("ERR no"),
    -5,
    null,
    null,
    [[1], Buffer.alloc(0)],
  ];
  for (let size = 1; size <= bytes.length; size += 1) {
    const reader = new RespReader();
    const values: unknown[] = [];
    for (let start = 0; start < bytes.length; start += size) values.push(...reader.push(bytes.subarray(start, start + size)));
    expect(values).toEqual(expected);
  }
});

describe.skipIf(isLeftOut("redis"))("servers around a real Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(async () => {
    await server.stop();
  });

  test("Redis can be stopped, and started again on the same port, empty", async () => {
    const first = await startRedis();
    await first.command("SET", "k", "v");
    await first.stop();
    await expect(first.command("GET", "k")).rejects.toThrow();
    const second = await startRedis({ port: first.port });
    expect(await second.command("GET", "k")).toBe(null);
    await second.stop();
  });

  test("the proxy counts exactly what the client sends, however it is cut into packets, and not what scripts call", async () => {
    const proxy = await startCountingProxy({ redisPort: server.port });
    const client = new Redis(proxy.url);
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => client.set(`k${index}`, "*3\r\n$3\r\nGET\r\n")));
    await client.mget(["k1", "k2"]);
    await client.eval("for i = 1, 10 do redis.call('GET', KEYS[1]) end", 1, "k1");
    await client.pipeline().get("k1").get("k2").exec();
    client.disconnect();
    expect([proxy.counts(), proxy.total()]).toEqual([{ set: 1_000, mget: 1, eval: 1, get: 2 }, 1_004]);
    proxy.reset();
    const socket = connect(proxy.port, "127.0.0.1").setNoDelay(true);
    for (const byte of encode(["GET", "k1"])) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => proxy.counts()).toEqual({ get: 1 });
    socket.destroy();
    await proxy.stop();
  });

  test("the bridge speaks as Upstash does: pipelines, transactions, base64, errors, tokens", async () => {
    const bridge = await startUpstashBridge({ redisPort: server.port });
    const key = randomUUID();
    async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<[number, unknown]> {
      const response = await fetch(bridge.url + path, {
        method: "POST",
        body: JSON.stringify(body),
        headers: { authorization: `Bearer ${bridge.token}`, ...headers },
      });
      return [response.status, await response.json()];
    }
    expect(await post("/", ["SET", key, "OK", "PX", 5_000])).toEqual([200, { result: "OK" }]);
    expect(await post("/", ["GET", key])).toEqual([200, { result: "OK" }]);
    expect(await post("/", ["GET", key], { "upstash-encoding": "base64" })).toEqual([200, { result: "T0s=" }]);
    expect(await post("/", ["SET", key, "v"], { "upstash-encoding": "base64" })).toEqual([200, { result: "OK" }]);
    expect(await post("/", ["NO"])).toEqual([400, { error: expect.stringContaining("ERR unknown command") }]);
    expect(await post("/pipeline", [["INCR", `${key}n`], ["NO"], ["GET", "none"]])).toEqual([
      200,
      [{ result: 1 }, { error: expect.stringContaining("ERR") }, { result: null }],
    ]);
    expect(
      await post("/multi-exec", [
        ["INCR", `${key}n`],
        ["MGET", key, `${key}n`],
      ]),
    ).toEqual([200, [{ result: 2 }, { result: ["v", "2"] }]]);
    expect(await post("/multi-exec", [["NO"]])).toEqual([400, { error: expect.stringContaining("EXECABORT") }]);
    expect(await post("/", ["PING"], { authorization: "Bearer wrong" })).toEqual([401, { error: "Unauthorized" }]);
    expect(await post("/", {})).toEqual([400, { error: expect.any(String) }]);
    expect((await post("/other", ["PING"]))[0]).toBe(400);
    expect(bridge.requests.length).toBe(11);
    await bridge.stop();
  });

  test("a command on a connection that is lost rejects", async () => {
    const proxy = await startCountingProxy({ redisPort: server.port });
    const connection = connectRedis(proxy.port);
    proxy.setMode("hang");
    const pending = connection.command(["PING"]);
    setTimeout(() => proxy.setMode("reset"), 20);
    await expect(pending).rejects.toThrow("lost");
    proxy.setMode("pass");
    expect(await connection.command(["ECHO", "again"])).toEqual(Buffer.from("again"));
    connection.close();
    await proxy.stop();
  });
});

describe("workerd on a real socket", () => {
  const source = `
    import { answer } from "./answer.js";
    let aborted = 0;
    export default {
      async fetch(request, env) {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname === "/wait") await new Promise((resolve) => setTimeout(resolve, Number(searchParams.get("ms"))));
        return Response.json([answer, env.TEXT, pathname, navigator.userAgent]);
      },
    };`;
  const text = 'with "quotes", \\ and \n é';
  let server: WorkerdServer;
  beforeAll(async () => {
    server = await startWorkerd({ modules: { "main.js": source, "answer.js": "export const answer = 42;" }, bindings: { TEXT: text } });
  });
  afterAll(async () => {
    await server.stop();
  });

  test("serves a Worker of several modules with its bindings", async () => {
    expect(await fetchOnce(server.url)).toMatchObject({ kind: "answer", status: 200, body: JSON.stringify([42, text, "/", "Cloudflare-Workers"]) });
  });

  test("a request can be reset in the middle, and told from one that hangs", async () => {
    expect(await fetchOnce(`${server.url}/wait?ms=20000`, { resetAfterMs: 50 })).toMatchObject({ kind: "reset" });
    expect(await fetchOnce(`${server.url}/wait?ms=20000`, { timeoutMs: 50 })).toMatchObject({ kind: "hung" });
    expect(await fetchOnce(`${server.url}/wait?ms=50`)).toMatchObject({ kind: "answer", status: 200 });
    expect(await fetchOnce(`http://127.0.0.1:1/`)).toMatchObject({ kind: "lost" });
  });

  test("a Worker that does not load is an error with its log", async () => {
    await expect(startWorkerd({ modules: { "main.js": "import './missing.js'" } })).rejects.toThrow(/missing/);
  });

  test("the newer runtime that wrangler brings is there as well", () => {
    expect(workerdBinary("wrangler")).not.toBe(workerdBinary("miniflare"));
  });
});
