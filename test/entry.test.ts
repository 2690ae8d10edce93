/** Freshness as pure functions of times. */

import { assert, double, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { ageMs, freshLeftMs, MARGIN_MS, slotLifeMs } from "../src/entry.ts";

const NOW = 1_800_000_000_000;

describe("slotLifeMs", () => {
  test("of a guarded tier is never shorter than a tombstone's, else old loads could come back", () => {
    expect(slotLifeMs(1_000, 0, 20_000, true, 1)).toBe(20_000 + MARGIN_MS);
    expect(slotLifeMs(600_000, 0, 20_000, true, 1)).toBe(600_000);
  });

  test("of a tier without guard is the ttl, raised to what the storage can keep, at least 1 ms", () => {
    expect(slotLifeMs(1_000, 0, 20_000, false, 1)).toBe(1_000);
    expect(slotLifeMs(1_000, 0, 20_000, false, 60_000)).toBe(60_000);
    expect(slotLifeMs(0, 0, 20_000, false, 1)).toBe(1);
    expect(slotLifeMs(0.2, 0, 20_000, false, 0)).toBe(1);
  });

  test("is longer by the stale window, which counts beside the shield, not on top of it", () => {
    expect(slotLifeMs(600_000, 30_000, 20_000, true, 1)).toBe(630_000);
    expect(slotLifeMs(1_000, 30_000, 20_000, true, 1)).toBe(20_000 + MARGIN_MS);
    expect(slotLifeMs(1_000, 30_000, 20_000, false, 1)).toBe(31_000);
  });

  test("without an end has none", () => {
    expect(slotLifeMs(Number.POSITIVE_INFINITY, 0, 20_000, true, 1)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("freshLeftMs", () => {
  const times = { createdAt: NOW - 5_000, freshUntil: NOW + 10_000, expiresAt: NOW + 70_000 };

  test("goes by the storage's clock where that tells what is left of the slot", () => {
    expect(freshLeftMs(times, 65_000, NOW + 999_999, 30_000)).toBe(5_000);
    expect(freshLeftMs(times, 60_000, NOW, 30_000)).toBe(0);
    expect(freshLeftMs(times, 59_000, NOW, 30_000)).toBe(-1_000);
  });

  test("goes by the reader's clock elsewhere, and where the slot has no end", () => {
    expect(freshLeftMs(times, undefined, NOW, 30_000)).toBe(10_000);
    expect(freshLeftMs({ ...times, expiresAt: Number.POSITIVE_INFINITY }, 5, NOW, 30_000)).toBe(10_000);
  });

  test("is never above the reading tier's ttl, whatever the clocks say", () => {
    assert(
      property(
        double({ noNaN: true }),
        double({ noNaN: true, min: 0 }),
        double({ noNaN: true }),
        integer({ min: 0, max: 10_000_000 }),
        (span, remaining, now, ttl) => {
          const own = { createdAt: 0, freshUntil: span, expiresAt: span + 60_000 };
          for (const reported of [remaining, undefined]) {
            const left = freshLeftMs(own, reported, now, ttl);
            if (Number.isNaN(left)) return Number.isNaN(span - now) || Number.isNaN(remaining - (own.expiresAt - own.freshUntil));
            if (left > ttl) return false;
          }
          return true;
        },
      ),
    );
  });

  test("of an entry without an end is the tier's ttl", () => {
    const endless = { createdAt: NOW, freshUntil: Number.POSITIVE_INFINITY, expiresAt: Number.POSITIVE_INFINITY };
    expect(freshLeftMs(endless, undefined, NOW, 30_000)).toBe(30_000);
    expect(freshLeftMs(endless, undefined, NOW, Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("ageMs", () => {
  test("is never negative, also for what comes from the future", () => {
    expect(ageMs(NOW - 5, NOW)).toBe(5);
    expect(ageMs(NOW + 5, NOW)).toBe(0);
  });
});
