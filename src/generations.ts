/**
 * Generations as the isolate sees them: which ones a key belongs to, the epochs that cut off what is older than an
 * invalidation of this isolate. They are raised in `raise.ts`; what a storage's generations stood at is remembered in
 * `known-generations.ts`.
 *
 * Invariant: nothing that began below an epoch of its node or of one of its tags is served, joined or stored, also after
 * that epoch was forgotten.
 *
 * @module
 */

import type { Binding } from "./binding.ts";
import { describe } from "./duration.ts";
import { isWellFormed, tagKey } from "./key.ts";

const MOST_TAGS = 8;
/** One counter for the isolate, and its value at the last invalidation of each node and tag. */
export class Epochs {
  now = 0;
  /** Names whose epochs are remembered one by one. A field, so that a test can see what forgetting does. */
  most = 10_000;
  private floor = 0;
  private readonly latest = new Map<string, number>();

  /** Cuts off what began before now. What is forgotten to keep the table small is remembered as a floor for all names. */
  raise(names: readonly string[]): void {
    this.now++;
    for (const name of names) {
      this.latest.delete(name);
      this.latest.set(name, this.now);
    }
    for (const [name, epoch] of this.latest) {
      if (this.latest.size <= this.most) break;
      this.latest.delete(name);
      this.floor = Math.max(this.floor, epoch);
    }
  }

  /** Whether one of these names was invalidated after something began. */
  outlived(names: readonly string[], began: number): boolean {
    if (this.now === began) return false;
    return began < this.floor || names.some((name) => (this.latest.get(name) ?? 0) > began);
  }
}

/** The generations of a key: of its node, and of the tags of its parameters. @throws TypeError for tags that cannot be; what `tags` throws. */
export function generationsOf({ groups, spec, owner }: Binding, params: unknown): readonly string[] {
  if (!spec.tags) return groups;
  const tags = spec.tags(params);
  const at = `node ${describe(spec.name)}: tags`;
  if (!Array.isArray(tags)) throw new BadTags(`${at} must give a list of strings, got ${describe(tags)}`);
  if (tags.length > MOST_TAGS) throw new BadTags(`${at} must give at most ${MOST_TAGS} tags, got ${tags.length}`);
  return tags.length === 0 ? groups : [...groups, ...new Set(tags.map((tag) => tagKey(owner.prefix, readTag(tag, at))))];
}

/** An error of ours about tags, as opposed to what the function that makes them throws. */
export class BadTags extends TypeError {}

function readTag(tag: unknown, at: string): string {
  if (typeof tag === "string" && tag !== "" && isWellFormed(tag)) return tag;
  throw new BadTags(`${at}: a tag must be a non-empty string of well-formed Unicode, got ${typeof tag === "string" ? "another string" : describe(tag)}`);
}

/** The generation keys of tags. @throws TypeError */
export function tagKeys(prefix: string, tags: readonly unknown[]): readonly string[] {
  if (tags.length === 0) throw new BadTags("invalidateTags: expected at least one tag");
  return [...new Set(tags.map((tag) => tagKey(prefix, readTag(tag, "invalidateTags"))))];
}

/** Whether an entry's generations are exactly those that stood when it was read. */
export function isOfGenerations(own: readonly number[], asRead: readonly (number | undefined)[]): boolean {
  if (own.length !== asRead.length) return false;
  for (let i = 0; i < own.length; i++) if (own[i] !== asRead[i]) return false;
  return true;
}
