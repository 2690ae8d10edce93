import { expect, test } from "vitest";
import { bundleWorker } from "../runtimes/bundle.ts";
import { startWorkerd } from "../servers/workerd.ts";

test("the fault kit works in workerd", async () => {
  const server = await startWorkerd({ modules: { "main.js": await bundleWorker(new URL("kit.worker.ts", import.meta.url).pathname) } });
  try {
    const reply = await fetch(server.url);
    expect([reply.status, await reply.json()]).toEqual([200, { old: 0, value: "item 1", statuses: [503, 200, 200] }]);
  } finally {
    await server.stop();
  }
});
