/**
 * What is serialized: a flat row, a nested page, the same with values that JSON has no words for, and a list of rows. The same on
 * every machine.
 *
 * @module
 */

/** In the order of the tables. */
export const PAYLOADS = ["row", "nested", "rich", "list"] as const;

export type PayloadName = (typeof PAYLOADS)[number];

export function createPayload(name: PayloadName): unknown {
  if (name === "row") return row(1);
  if (name === "nested") return nested();
  if (name === "rich")
    return {
      ...nested(),
      seenAt: new Date(1_700_000_000_000),
      total: 12_345_678_901_234_567_890n,
      byTag: new Map([
        ["a", { count: 1 }],
        ["b", { count: 2 }],
      ]),
    };
  return Array.from({ length: 200 }, (_, id) => ({ ...row(id), tags: ["new", `shelf-${id % 12}`], stock: { here: id % 40, there: (id * 7) % 90 } }));
}

function row(id: number): Record<string, unknown> {
  return { id, name: `Product ${id}`, price: 1999 + id, currency: "EUR", active: id % 3 !== 0, updatedAt: 1_700_000_000_000 + id };
}

function nested(): Record<string, unknown> {
  const items = Array.from({ length: 8 }, (_, id) => ({
    ...row(id),
    options: [
      { key: "size", value: "M" },
      { key: "colour", value: "blue" },
    ],
  }));
  return { id: 42, title: "Café – naïve, 東京", author: { id: 7, name: "Ada Lovelace", email: null }, items, score: 4.625, ok: true };
}
