/**
 * What every storage that speaks HTTP has to do when the way to its database fails: reject, once, without asking again, and
 * end its request when its caller has given up. Declared for vitest.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Storage } from "../../src/storage.ts";
import type { HttpGate } from "../servers/http-gate.ts";
import type { BridgeFault } from "../servers/upstash-bridge.ts";

/** A storage and the gate that its requests go through. */
export interface HttpSubject {
  readonly storage: Storage;
  readonly gate: HttpGate;
}

const FAULTS: Readonly<Record<string, BridgeFault>> = {
  "502 with a page": { status: 502, body: "<html>bad gateway</html>" },
  "429 with JSON": { status: 429, body: '{"message":"too many requests"}' },
  "200 with half an answer": { mangle: (body) => body.slice(0, body.length / 2) },
  "200 with nothing": { mangle: () => "" },
  "200 with something else": { mangle: () => '{"surprise":true}' },
  "a connection that is cut off before": { cut: "before" },
  "a connection that is cut off after": { cut: "after" },
};

/** Declares the checks. */
export function runHttpChecks(name: string, subject: () => HttpSubject): void {
  const signal = new AbortController().signal;
  describe(`when the way to the database fails, ${name}`, () => {
    test.each(Object.entries(FAULTS))("%s is an error of every call, which asks once", async (_, fault) => {
      const { storage, gate } = subject();
      const entry = { key: randomUUID(), bytes: Uint8Array.of(1), ttlMs: 60_000 };
      const calls = [
        () => storage.read([entry.key], ["\u0001g"], signal),
        () => storage.write([{ ...entry, ifStamp: null }], signal),
        async () => storage.ensure?.([`\u0001${entry.key}`], signal),
      ];
      for (const call of calls) {
        gate.requests.length = 0;
        gate.fault = () => fault;
        await expect(call()).rejects.toThrow();
        gate.fault = () => undefined;
        expect(gate.requests.length).toBe(1);
      }
      await storage.write([entry], signal);
      expect((await storage.read([entry.key], [], signal)).slots[0]?.bytes).toEqual(entry.bytes);
    });

    test("a call whose caller gave up rejects at once and ends its request, and the others go on", async () => {
      const { storage, gate } = subject();
      const key = randomUUID();
      await storage.write([{ key, bytes: Uint8Array.of(1), ttlMs: 60_000 }], signal);
      const before = gate.abandoned;
      gate.requests.length = 0;
      // The first request hangs, those after it do not.
      gate.fault = () => (gate.requests.length === 1 ? { cut: "never" } : undefined);
      const controller = new AbortController();
      const hung = storage.read([key], [], controller.signal);
      while (gate.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      const other = storage.read([key], [], signal);
      controller.abort(new Error("given up"));
      await expect(hung).rejects.toThrow();
      expect((await other).slots[0]?.bytes).toEqual(Uint8Array.of(1));
      gate.fault = () => undefined;
      for (let attempt = 0; gate.abandoned === before && attempt < 1000; attempt += 1) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(gate.abandoned).toBe(before + 1);
    });

    test("nothing secret is in an error", async () => {
      const { storage, gate } = subject();
      for (const fault of Object.values(FAULTS)) {
        gate.fault = () => fault;
        const error: unknown = await storage.read(["k"], [], signal).catch((reason: unknown) => reason);
        const shown = `${String(error)} ${JSON.stringify(error)} ${error instanceof Error ? `${error.stack} ${String(error.cause)}` : ""}`;
        expect(shown).not.toMatch(/0123456789/);
      }
      gate.fault = () => undefined;
    });
  });
}
