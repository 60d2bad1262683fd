/**
 * Judged rows on their way between threads. Cloning an object costs several times what judging its row did: ordinary
 * entries travel as numbers, a table of the names they share and what differs from row to row one after the other; all others
 * as they are.
 */
import type { BudgetCharge } from '../ledger/entry.ts';
import { toHex } from '../ledger/merkle.ts';
import type { Judged, PlainDecision, PlainOutcome } from './judged.ts';
import { NOTHING_FOUND } from './judged.ts';

const OTHER = 0;
const DECISION = 1;
const OUTCOME = 2;
const NONE = -1;
const DIGEST_CHARS = 32;
const HASH_CHARS = 64;
const ID_CHARS = 32;
const FIRST_NUMBERS = 8192;
/** More than a row without charges, or a charge, has. */
const ROOM = 16;

export interface Packed {
  /** Row after row: one of the three numbers above, then the fields in the order that `Packer` writes. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly strings: readonly string[];
  /** Leaf hashes of the ordinary rows, one after the other, as digests: those stored beside them are the same. */
  readonly leaves: string;
  /** Their calls, and of each outcome the leaf hash of the decision it names, in hex. */
  readonly calls: string;
  readonly decisions: string;
  readonly others: readonly Judged[];
}

export class Packer {
  /** Used again for every message. */
  private numbers = new Float64Array(FIRST_NUMBERS);
  private length = 0;
  private strings: string[] = [];
  private readonly places = new Map<string, number>();
  /** Of each name in a row, the one of the row before: comparing is cheaper than looking up. */
  private last: { readonly text: string; readonly place: number }[] = [];
  private others: Judged[] = [];
  private readonly leaves = new Texts();
  private readonly calls = new Texts();
  private readonly decisions = new Texts();

  add(rows: readonly Judged[]): void {
    for (const row of rows) this.row(row);
    for (const texts of [this.leaves, this.calls, this.decisions]) texts.join();
  }

  private row(row: Judged): void {
    const { content } = row;
    if (content.is !== 'plain' || row.leaf === undefined || row.found.length > 0 || row.more > 0) {
      this.room();
      this.number(OTHER);
      this.others.push(row);
      return;
    }
    this.leaves.add(row.leaf);
    this.calls.add(content.entry.call);
    if (content.entry.kind === 'decision') this.decision(row, content.entry);
    else this.outcome(row, content.entry);
  }

  /** All of it, and begins anew. */
  take(): Packed {
    const { strings, leaves, calls, decisions, others, length } = this;
    this.length = 0;
    this.strings = [];
    this.places.clear();
    this.last = [];
    this.others = [];
    const numbers = this.numbers.slice(0, length);
    return { numbers, strings, leaves: leaves.take(), calls: calls.take(), decisions: decisions.take(), others };
  }

  private decision(row: Judged, entry: PlainDecision): void {
    this.common(DECISION, row, entry);
    this.name(3, entry.effect);
    this.name(4, entry.mode);
    this.name(5, entry.would);
    this.name(6, entry.policy.hash);
    this.name(7, entry.policy.id);
    this.labels(11, entry.given);
    this.labels(12, entry.seen);
    this.number(entry.budgets?.length ?? NONE);
    for (const { cost, id, key, left, limit, per, window_ms: window } of entry.budgets ?? []) {
      this.room();
      this.number(cost);
      this.name(8, id);
      this.name(9, key);
      this.number(left);
      this.number(limit);
      this.name(10, per);
      this.number(window ?? NONE);
    }
  }

  private outcome(row: Judged, entry: PlainOutcome): void {
    this.common(OUTCOME, row, entry);
    this.number(entry.decision.of);
    this.decisions.add(entry.decision.leaf);
    this.labels(11, entry.given);
  }

  private labels(field: number, text: string | undefined): void {
    if (text === undefined) this.number(NONE);
    else this.name(field, text);
  }

  private common(tag: number, { seq, withheld }: Judged, { at, agent, session, writer }: PlainDecision | PlainOutcome): void {
    this.room();
    this.number(tag);
    this.number(seq);
    this.number(withheld ? 1 : 0);
    this.number(at);
    this.name(0, agent);
    this.name(1, session);
    this.name(2, writer);
  }

  private number(value: number): void {
    this.numbers[this.length++] = value;
  }

  /** @param field - which of the names in a row. */
  private name(field: number, text: string): void {
    const last = this.last[field];
    if (last?.text === text) return this.number(last.place);
    let place = this.places.get(text);
    if (place === undefined) {
      place = this.strings.push(text) - 1;
      this.places.set(text, place);
    }
    this.last[field] = { text, place };
    this.number(place);
  }

  private room(): void {
    if (this.length + ROOM <= this.numbers.length) return;
    const grown = new Float64Array(this.numbers.length * 2);
    grown.set(this.numbers);
    this.numbers = grown;
  }
}

/** One text of many. What is added may be a view on a body, which lives as long: it is copied out before the next rows are read. */
class Texts {
  private added: string[] = [];
  private text = '';

  add(text: string): void {
    this.added.push(text);
  }

  join(): void {
    this.text += this.added.join('');
    this.added = [];
  }

  take(): string {
    const { text } = this;
    this.text = '';
    return text;
  }
}

export function unpack(packed: Packed): readonly Judged[] {
  return new Unpacker(packed).rows();
}

class Unpacker {
  private readonly packed: Packed;
  private at = 0;

  constructor(packed: Packed) {
    this.packed = packed;
  }

  rows(): readonly Judged[] {
    const { numbers, others, leaves, calls, decisions } = this.packed;
    const stored = toHex(leaves);
    const rows: Judged[] = [];
    let other = 0;
    let plain = 0;
    let outcome = 0;
    while (this.at < numbers.length) {
      const tag = this.number();
      if (tag === OTHER) {
        rows.push(others[other++] as Judged);
        continue;
      }
      const seq = this.number();
      const withheld = this.number() === 1;
      const call = calls.slice(plain * ID_CHARS, (plain + 1) * ID_CHARS);
      const fields = { at: this.number(), agent: this.text(), call, session: this.text(), writer: this.text() };
      const entry =
        tag === DECISION ? this.decision(fields) : this.outcome(fields, decisions.slice(outcome * HASH_CHARS, ++outcome * HASH_CHARS));
      rows.push({
        seq,
        leaf: leaves.slice(plain * DIGEST_CHARS, (plain + 1) * DIGEST_CHARS),
        stored: stored.slice(plain * HASH_CHARS, (plain + 1) * HASH_CHARS),
        fits: true,
        found: NOTHING_FOUND,
        more: 0,
        content: { is: 'plain', entry },
        withheld,
      });
      plain++;
    }
    return rows;
  }

  private decision({ at, agent, call, session, writer }: Fields): PlainDecision {
    const [effect, mode, would] = [this.text(), this.text(), this.text()] as [PlainDecision['effect'], PlainDecision['mode'], 'allow'];
    const policy = { hash: this.text(), id: this.text() };
    const [given, seen] = [this.labels(), this.labels()];
    return { kind: 'decision', at, agent, call, session, writer, effect, mode, would, policy, budgets: this.budgets(), given, seen };
  }

  private budgets(): PlainDecision['budgets'] {
    const count = this.number();
    if (count === NONE) return undefined;
    const charges: BudgetCharge[] = [];
    for (let i = 0; i < count; i++) {
      const charge = { cost: this.number(), id: this.text(), key: this.text(), left: this.number(), limit: this.number() };
      const per = this.text() as BudgetCharge['per'];
      const window = this.number();
      charges.push(window === NONE ? { ...charge, per } : { ...charge, per, window_ms: window });
    }
    return charges;
  }

  private outcome({ at, agent, call, session, writer }: Fields, leaf: string): PlainOutcome {
    return { kind: 'outcome', at, agent, call, session, writer, decision: { of: this.number(), leaf }, given: this.labels() };
  }

  private labels(): string | undefined {
    const place = this.number();
    return place === NONE ? undefined : this.packed.strings[place];
  }

  private number(): number {
    return this.packed.numbers[this.at++] as number;
  }

  private text(): string {
    return this.packed.strings[this.number()] as string;
  }
}

type Fields = Pick<PlainDecision, 'at' | 'agent' | 'call' | 'session' | 'writer'>;
