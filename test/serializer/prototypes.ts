/** What hangs on the prototypes that data could change, as one text, to see that a decoder left them alone. */
export function prototypeKeys(): string {
  return JSON.stringify([Reflect.ownKeys(Object.prototype), Reflect.ownKeys(Array.prototype)].map((keys) => keys.map(String)));
}
