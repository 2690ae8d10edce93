/**
 * Reading in halves, where a service limits the bytes of an answer: nobody knows how large the values are before they are
 * read. It knows no service; each adapter says by what it recognises such a refusal.
 *
 * @module
 */

/**
 * Reads all items at once. If the service refuses because the answer would be too large, it reads the halves, one after the
 * other, so that not more is under way than the service allows.
 *
 * @param isTooLarge whether an error is such a refusal. Of a single item it is an error like any other.
 * @returns the answers in the order of the items.
 */
export async function inHalves<Item, Answer>(
  items: readonly Item[],
  read: (items: readonly Item[]) => Promise<Answer> | Answer,
  isTooLarge: (error: unknown) => boolean,
): Promise<Answer[]> {
  try {
    return [await read(items)];
  } catch (error) {
    if (items.length < 2 || !isTooLarge(error)) throw error;
  }
  const middle = Math.ceil(items.length / 2);
  const first = await inHalves(items.slice(0, middle), read, isTooLarge);
  return [...first, ...(await inHalves(items.slice(middle), read, isTooLarge))];
}
