/**
 * Watches what an adapter asks of its driver, so that the same calls can be made again without the adapter: that is the bare
 * driver doing the same statement. It changes no argument and no answer.
 *
 * @module
 */

/** Calls as they were made. */
export interface Recorder {
  /** The object, with the calls of these methods noted while that is asked for. */
  watch<Client extends object>(client: Client, ...methods: readonly string[]): Client;
  /** The function, likewise. */
  wrap<Args extends readonly unknown[], Result>(call: (...args: Args) => Promise<Result>): (...args: Args) => Promise<Result>;
  /** Notes calls from now on. */
  start(): void;
  /** Notes no more, so that the adapter does not pay for it; makes what was noted again, all at once. There must be something. */
  replay(): () => Promise<unknown>;
}

/** Makes one. */
export function createRecorder(): Recorder {
  let calls: (() => Promise<unknown>)[] | undefined;
  function wrap<Args extends readonly unknown[], Result>(call: (...args: Args) => Promise<Result>): (...args: Args) => Promise<Result> {
    return (...args) => {
      calls?.push(() => call(...args));
      return call(...args);
    };
  }
  return {
    wrap,
    watch(client, ...methods) {
      const bound = new Map<string | symbol, unknown>();
      return new Proxy(client, {
        get(target, property) {
          const known = bound.get(property);
          if (known !== undefined) return known;
          const value: unknown = Reflect.get(target, property);
          if (typeof value !== "function") return value;
          const method = value.bind(target);
          const watched = typeof property === "string" && methods.includes(property);
          const answer = watched ? wrap(async (...args: unknown[]): Promise<unknown> => method(...args)) : method;
          bound.set(property, answer);
          return answer;
        },
      });
    },
    start() {
      calls = [];
    },
    replay() {
      const noted = calls ?? [];
      calls = undefined;
      const [only] = noted;
      if (only === undefined) throw new Error("the adapter made no call that was watched");
      return noted.length === 1 ? only : () => Promise.all(noted.map((call) => call()));
    },
  };
}
