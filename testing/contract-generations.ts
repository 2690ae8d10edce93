/**
 * The clauses about generations, the numbers by which whole nodes and tags are invalidated.
 *
 * @module
 */
import { bytesOf, callsOf, equal, holds, isConditional, type ContractCase, type ContractSubject } from "./contract-kit.ts";

function hasText(subject: ContractSubject): boolean {
  return isConditional(subject) && subject.plantText !== undefined;
}

export const generationCases: readonly ContractCase[] = [
  {
    name: "a generation that was never made is missing, beside slots and alone",
    needs: isConditional,
    async run(subject) {
      const { key, generation, put, ensure, standing } = callsOf(subject);
      equal(await standing(generation("none"), generation("nor this")), [undefined, undefined], "the generations");
      await put(key("k"), bytesOf(1));
      const [made] = await ensure(generation("made"));
      const result = await subject.storage.read([key("none"), key("k")], [generation("none"), generation("made")], new AbortController().signal);
      equal(
        result.slots.map((slot) => slot?.bytes),
        [undefined, bytesOf(1)],
        "the slots",
      );
      equal(result.generations, [undefined, made], "the generations beside them");
    },
  },
  {
    name: "`ensure` makes a missing generation, and answers the standing one from then on",
    needs: isConditional,
    async run(subject) {
      const { generation, ensure, standing } = callsOf(subject);
      const [made] = await ensure(generation("g"));
      holds(made !== undefined && Number.isSafeInteger(made) && made > 0, `a generation is a positive integer below 2^53, got ${made}`);
      equal(await ensure(generation("g")), [made], "the second `ensure`");
      equal(await standing(generation("g")), [made], "the generation");
    },
  },
  {
    name: "`ensure` of many is aligned, made and standing ones mixed",
    needs: isConditional,
    async run(subject) {
      const { generation, ensure, standing } = callsOf(subject);
      const names = Array.from({ length: 200 }, (_, index) => generation(String(index)));
      const odd = names.filter((_, index) => index % 2 === 1);
      const before = await ensure(...odd);
      const all = await ensure(...names);
      equal(
        all.filter((_, index) => index % 2 === 1),
        before,
        "those that stood",
      );
      equal(await standing(...names), all, "the generations");
    },
  },
  {
    name: "callers that ensure one generation at once agree",
    needs: isConditional,
    async run(subject) {
      const { generation, ensure } = callsOf(subject);
      const answers = await Promise.all(Array.from({ length: 20 }, () => ensure(generation("g"))));
      equal(new Set(answers.map(([made]) => made)).size, 1, "different answers");
    },
  },
  {
    name: "`raise` makes a generation strictly higher every time, also one that was missing",
    needs: isConditional,
    async run(subject) {
      const { generation, raise, standing, ensure } = callsOf(subject);
      const names = [generation("missing"), generation("made"), generation("left alone")];
      await ensure(generation("made"), generation("left alone"));
      const [, , alone] = await standing(...names);
      let before: readonly (number | undefined)[] = [0, (await standing(...names))[1]];
      for (let round = 0; round < 20; round += 1) {
        await raise(generation("missing"), generation("made"));
        const after = await standing(...names);
        for (const index of [0, 1]) holds((after[index] ?? 0) > (before[index] ?? Infinity), `round ${round}: ${after[index]} is higher than ${before[index]}`);
        equal(after[2], alone, "a generation that was not named");
        before = after;
      }
      equal(await ensure(...names), before, "`ensure` afterwards");
    },
  },
  {
    name: "raises at once all count",
    needs: isConditional,
    async run(subject) {
      const { generation, raise, ensure } = callsOf(subject);
      const [before = 0] = await ensure(generation("g"));
      await Promise.all(Array.from({ length: 20 }, () => raise(generation("g"))));
      const [after = 0] = await ensure(generation("g"));
      holds(after >= before + 20, `${after} is at least ${before} + 20`);
    },
  },
  {
    name: "a generation that is no number is missing, and made anew",
    needs: hasText,
    async run(subject) {
      const { generation, raise, ensure, standing } = callsOf(subject);
      const texts = [
        "",
        "abc",
        "-5",
        "1e3",
        " 12",
        "0",
        "0x10",
        "12.5",
        "99999999999999999999",
        "00000000000000000012",
        "9007199254740991",
        "9999999999999999",
        "nan",
        "inf",
      ];
      for (const [index, text] of texts.entries()) {
        for (const make of ["ensure", "raise"]) {
          const name = generation(`${make} ${index}`);
          await subject.plantText?.(name, text);
          equal(await standing(name), [undefined], `the generation ${JSON.stringify(text)}`);
          if (make === "raise") await raise(name);
          const [made = 0] = await ensure(name);
          holds(Number.isSafeInteger(made) && made > 0, `${JSON.stringify(text)} is replaced by a number, got ${made}`);
          equal(await standing(name), [made], `what was ${JSON.stringify(text)}`);
        }
      }
    },
  },
];
