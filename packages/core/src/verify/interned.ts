/** Names that come again and again, held once: maps find them by identity, and none of them keeps the text it was cut from. */

/** Different names remembered; a ledger with more starts over, which costs time and nothing else. */
const MAX_NAMES = 4096;

export class Interned {
  private readonly names = new Map<string, string>();

  /** An equal string of its own. */
  own(text: string): string {
    const known = this.names.get(text);
    if (known !== undefined) return known;
    if (this.names.size >= MAX_NAMES) this.names.clear();
    const copy = ownCopy(text);
    this.names.set(copy, copy);
    return copy;
  }
}

/** A string cut from a longer one keeps all of it in memory: this one does not. */
export function ownCopy(text: string): string {
  return Buffer.from(text).toString();
}
