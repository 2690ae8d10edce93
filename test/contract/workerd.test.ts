import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isLeftOut } from "../servers/process.ts";
import { startRedis, type RedisServer } from "../servers/redis.ts";
import { startUpstashBridge, type UpstashBridge } from "../servers/upstash-bridge.ts";
import { startWorkerd, workerdBinary, type WorkerdServer } from "../servers/workerd.ts";
import { clausesOf } from "./clauses.ts";

const root = new URL("../../", import.meta.url).pathname;

/** One request runs one clause, because a request may make only so many calls. */
const worker = `
import { storageContract } from "./testing/index.ts";
import { upstash } from "./adapters/upstash.ts";

let storage;
export default {
  async fetch(request, env) {
    storage ??= upstash({ url: env.URL, token: env.TOKEN });
    const clause = storageContract.find(({ name }) => name === decodeURIComponent(request.headers.get("clause")));
    const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const error = await clause.run({ storage, unique: crypto.randomUUID(), pass }).then(() => "kept", String);
    return new Response(error);
  },
};
`;

/** The oldest date that is supported, and one without any compatibility flag that a driver might lean on. */
const runtimes = [
  ["miniflare", "2024-09-01"],
  ["miniflare", "2026-06-01"],
  ["wrangler", "2026-11-17"],
] as const;

describe.skipIf(isLeftOut("redis"))("upstash() on workerd, without any flag", () => {
  let server: RedisServer;
  let bridge: UpstashBridge;
  let code = "";
  beforeAll(async () => {
    server = await startRedis();
    bridge = await startUpstashBridge({ redisPort: server.port });
    const { outputFiles } = await build({
      stdin: { contents: worker, resolveDir: root, loader: "ts" },
      bundle: true,
      write: false,
      format: "esm",
      conditions: ["cacheme-source", "workerd", "worker", "browser"],
      external: ["cloudflare:*"],
    });
    code = outputFiles[0]?.text ?? "";
  });
  afterAll(async () => {
    await bridge.stop();
    await server.stop();
  });

  describe.each(runtimes)("the workerd of %s, %s", (of, compatibilityDate) => {
    let workerd: WorkerdServer;
    beforeAll(async () => {
      const bindings = { URL: bridge.url, TOKEN: bridge.token };
      workerd = await startWorkerd({ modules: { "worker.js": code }, compatibilityDate, bindings, binary: workerdBinary(of) });
    });
    afterAll(async () => {
      await workerd.stop();
    });

    for (const { name } of clausesOf(["plantForeign", "plantText"])) {
      test(name, async () => {
        const response = await fetch(workerd.url, { headers: { clause: encodeURIComponent(name) } });
        expect(await response.text()).toBe("kept");
      });
    }
  });
});
