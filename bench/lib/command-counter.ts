/**
 * Counts the commands in the bytes that a Redis client sends: a parser of RESP requests (arrays of bulk strings, Redis
 * protocol specification) that reads names and lengths and skips everything else, so that a large value costs nothing. It
 * takes chunks cut anywhere. It does not understand inline commands and says so.
 *
 * @module
 */

const STAR = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;

/** Takes the next chunk of one connection's requests; throws if they are not RESP arrays. */
export type CommandCounter = (chunk: Uint8Array) => void;

/** A parser for one connection; `onCommand` gets each command's name in capitals once its name has been read. */
export function createCommandCounter(onCommand: (name: string) => void): CommandCounter {
  let kind = 0; // The byte that opened the line being read; 0 between lines.
  let length = 0; // The number on that line.
  let args = 0; // Bulk strings left in the current command.
  let skip = 0; // Bytes that need no reading.
  let nameLeft = 0;
  let name = "";
  let nameIsNext = false;

  function endLine(): void {
    if (kind === STAR) {
      args = length;
      nameIsNext = length > 0;
    } else if (nameIsNext) {
      nameIsNext = false;
      nameLeft = length;
    } else {
      skip = length + 2;
      args--;
    }
    kind = 0;
    length = 0;
  }

  function readByte(byte: number): void {
    if (nameLeft > 0) {
      name += String.fromCharCode(byte);
      if (--nameLeft > 0) return;
      onCommand(name.toUpperCase());
      name = "";
      skip = 2;
      args--;
    } else if (kind === 0) {
      if (byte !== (args > 0 ? DOLLAR : STAR)) throw new Error(`not a RESP request: byte ${byte} with ${args} arguments to come`);
      kind = byte;
    } else if (byte === LF) endLine();
    else if (byte !== CR) length = length * 10 + byte - 48;
  }

  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at);
        skip -= step;
        at += step;
      } else readByte(chunk[at++] ?? 0);
    }
  };
}
