/**
 * The byte format of `structured()`, as constants for the two files that write and read it. It does nothing.
 *
 * A payload is the version byte, one value, then the contents of its containers. A value is a tag and what belongs to it.
 * Everything with an identity (an object, an array, a Date, a buffer...) is written once, where it is first met, and numbered
 * in that order; later it is a reference to its number. What stands inside a container is not written in its place but after
 * everything that was met before it, so that neither side ever recurses: no depth overflows a stack, and cycles need no rule.
 *
 * Counts, lengths and numbers of containers are LEB128; floats and 16-bit text units are little-endian. Typed arrays keep the
 * byte order of the host, which is little-endian on every host there is.
 *
 * Invariant: a tag, once released, keeps its meaning; another layout gets another version.
 *
 * @module
 */

/** The first byte of a payload. */
export const VERSION = 1;

export const UNDEFINED = 0;
export const NULL = 1;
export const FALSE = 2;
export const TRUE = 3;
/** 8 bytes. */
export const FLOAT = 4;
/** A safe integer from 0 up. */
export const INTEGER = 5;
/** -1 - n, for a safe integer n below 0. */
export const NEGATIVE = 6;
/** Length in bytes, UTF-8. */
export const TEXT = 7;
/** Length in units, UTF-16: only for text with lone surrogates, which UTF-8 cannot hold. */
export const UNITS = 8;
/** Length in bytes, magnitude with the highest byte first. */
export const BIGINT = 9;
export const NEGATIVE_BIGINT = 10;
/** The number of a container. */
export const REFERENCE = 11;
/** Contents: count, then for each property key and value. */
export const OBJECT = 12;
/** An object without a prototype; contents as those of an object. */
export const BARE_OBJECT = 13;
/** Contents: count, then values. */
export const ARRAY = 14;
/** An array with holes or with properties. Contents: length, then those of an object. */
export const SPARSE_ARRAY = 15;
/** Contents: count, then for each entry key and value. */
export const MAP = 16;
/** Contents: count, then values. */
export const SET = 17;
/** Milliseconds as a float. */
export const DATE = 18;
/** Source and flags, each as a value. */
export const REGEXP = 19;
/** Length, bytes. */
export const BUFFER = 20;
/** Index in {@link VIEWS}, length in bytes, bytes. */
export const VIEW = 21;
/** Index in {@link ERRORS}. Contents: those of an object twice, first the properties that are not enumerable. */
export const ERROR = 22;
/** A primitive as an object; the primitive as a value. */
export const BOXED = 23;

/** Views of binary data. New ones are added at the end. */
export const VIEWS: readonly string[] = [
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  "DataView",
  "Float16Array",
];

/** The language's own errors. */
export const ERRORS: readonly string[] = ["Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError", "AggregateError"];

/** Properties of an error that are kept although they are not enumerable. The stack is not: it tells of this machine. */
export const HIDDEN_OF_ERRORS: readonly string[] = ["name", "message", "cause", "errors"];
