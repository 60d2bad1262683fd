/** Names that come again and again, held once: maps find them by identity, and none of them keeps the text it was cut from. */

/** Different names remembered; a ledger with more starts over, which costs time and nothing else. */
const MAX_NAMES = 4096;
const ID_CHARS = 32;

export class Interned {
  private readonly names = new Map<string, string>();
  private last = '';

  /** An equal string of its own. */
  own(text: string): string {
    // Mostly the same as in the entry before: comparing is cheaper than looking up.
    if (text === this.last) return this.last;
    let copy = this.names.get(text);
    if (copy === undefined) {
      if (this.names.size >= MAX_NAMES) this.names.clear();
      copy = Buffer.from(text).toString();
      this.names.set(copy, copy);
    }
    this.last = copy;
    return copy;
  }
}

const buffer = Buffer.alloc(ID_CHARS);

/** Of 32 hex digits: a string cut from a longer one keeps all of it in memory, this one does not. */
export function ownId(id: string): string {
  buffer.write(id, 'latin1');
  return buffer.toString('latin1');
}
