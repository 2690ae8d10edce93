import { memoryStorage } from "../../testing/index.ts";
import { runContract } from "./run-contract.ts";

let now = 1_700_000_000_000;
const clock = { now: (): number => now };
const pass = (ms: number): void => {
  now += ms;
};
const guarded = memoryStorage({ clock });
const weak = memoryStorage({ clock, traits: { conditional: false, consistency: "eventual", minTtlMs: 60_000, maxKeyBytes: 512 } });

runContract("memory", ["plantForeign"], () => ({
  storage: guarded,
  unique: "contract",
  pass,
  async plantText(key, text) {
    guarded.slots.set(key, { bytes: new TextEncoder().encode(text), expiresAt: Infinity });
  },
}));

runContract("memory without conditions", ["conditional", "plantForeign", "plantText"], () => ({ storage: weak, unique: "weak", pass }));
