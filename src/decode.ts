/**
 * From a slot's payload to the value that is served: what the serializer makes of it, and what the node's schema makes of
 * that. Neither is trusted: whatever they do, one of the three functions is called, once.
 *
 * @module
 */

import { isThenable } from "./shareable.ts";
import type { NodeSpec } from "./node-spec.ts";

/** How a payload may turn out. */
export interface Decoding {
  served(value: unknown): void;
  /** It is no value of this node. */
  refused(reason: string): void;
  /** The node's own schema threw. */
  threw(): void;
}

/** Decodes a payload; `null` and `undefined` are the values themselves. At once, unless the serializer or the schema takes its time. */
export function decodeValue(spec: NodeSpec, payload: Uint8Array | null | undefined, to: Decoding): void {
  if (payload === null || payload === undefined) return validate(spec, payload, to);
  const refused = (): void => to.refused("the serializer refused it");
  let value: unknown;
  try {
    value = spec.serializer.decode(payload);
  } catch {
    return refused();
  }
  if (value instanceof Promise) value.then((late) => validate(spec, late, to), refused);
  else validate(spec, value, to);
}

function validate({ freshness }: NodeSpec, value: unknown, to: Decoding): void {
  const schema = freshness.validate;
  if (!schema) return to.served(value);
  let result: unknown;
  let late: Promise<unknown> | undefined;
  try {
    result = schema["~standard"].validate(value);
    late = isThenable(result) ? Promise.resolve(result) : undefined;
  } catch {
    return to.threw();
  }
  if (late)
    late.then(
      (settled) => judge(settled, to),
      () => to.threw(),
    );
  else judge(result, to);
}

/** A schema that answers nonsense has not judged; it counts as one that threw. */
function judge(result: unknown, to: Decoding): void {
  let issues: unknown;
  let value: unknown;
  try {
    if (typeof result !== "object" || result === null) return to.threw();
    issues = Reflect.get(result, "issues");
    value = Reflect.get(result, "value");
  } catch {
    return to.threw();
  }
  if (issues) to.refused("the schema refused it");
  else to.served(value);
}
