/** Which members and items of one value some part of a schema has looked at: what is left is unevaluated. */
export class Seen {
  readonly names: Set<string> = new Set<string>();
  readonly items: Set<number> = new Set<number>();

  add(other: Seen): void {
    for (const name of other.names) this.names.add(name);
    for (const item of other.items) this.items.add(item);
  }
}
