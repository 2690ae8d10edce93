/**
 * What stands at module scope of a Worker, and what may be shared between its requests: on every date of the proofs.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchOnce } from "../../servers/http-client.ts";
import { startWorkerd, workerdBinary, type WorkerdServer } from "../../servers/workerd.ts";
import { bundleWorker } from "../bundle.ts";
import { LANES } from "./lab.ts";

describe.each(LANES)("on $name", ({ runtime, date }) => {
  let server: WorkerdServer;

  beforeAll(async () => {
    const code = await bundleWorker(join(import.meta.dirname, "module-scope.worker.ts"));
    server = await startWorkerd({ modules: { "worker.js": code }, compatibilityDate: date, binary: workerdBinary(runtime) });
  });

  afterAll(async () => {
    await server?.stop();
  });

  async function ask(path: string): Promise<unknown> {
    const outcome = await fetchOnce(`${server.url}/${path}`);
    if (outcome.kind !== "answer" || outcome.status !== 200) throw new Error(`${JSON.stringify(outcome)}\n${server.log().slice(-1_000)}`);
    return JSON.parse(outcome.body);
  }

  test("caches, nodes, storages, serializers and doorkeepers may be made at module scope", async () => {
    const values = Array.from({ length: 4 }, () => ({ id: 21, double: 42 }));
    expect(await ask("")).toEqual({ values, again: values, word: "HELLO", peeked: "HELLO" });
  });

  test.each(["Response", "Request", "ReadableStream", "a fetched Response"])("a loader that gives %s is refused, to its followers as well", async (kind) => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(`?kind=${encodeURIComponent(kind)}`)));
    for (const answer of answers) expect(answer).toMatchObject({ code: "ERR_SERIALIZE", message: expect.stringContaining('node "Anything"') });
  });

  test("plain data is shared by all who asked meanwhile", async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask("?kind=a%20plain%20object")));
    expect(answers).toHaveLength(5);
    for (const answer of answers) expect(answer).toMatchObject({ value: { plain: true } });
    expect(answers.filter((answer) => JSON.stringify(answer).includes('"collapsed":false'))).toHaveLength(1);
  });
});
