/**
 * Judged rows on their way between threads. Cloning an object costs several times what judging its row did: ordinary
 * entries travel as numbers and a table of strings, all others as they are.
 */
import type { Judged, PlainDecision, PlainOutcome } from './judged.ts';
import { NOTHING_FOUND } from './judged.ts';

const OTHER = 0;
const DECISION = 1;
const OUTCOME = 2;
const NONE = -1;
const DIGEST_CHARS = 32;
const HASH_CHARS = 64;

export interface Packed {
  /** Row after row: one of the three numbers above, then the fields in the order that `Packer` writes. */
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly strings: readonly string[];
  /** Leaf hashes of the ordinary rows, one after the other: digests, and the same in hex. */
  readonly leaves: string;
  readonly stored: string;
  readonly others: readonly Judged[];
}

export class Packer {
  private readonly numbers: number[] = [];
  private readonly strings: string[] = [];
  private readonly places = new Map<string, number>();
  private readonly others: Judged[] = [];
  private leaves = '';
  private stored = '';
  rows = 0;

  add(row: Judged): void {
    this.rows++;
    const { content } = row;
    if (content.is !== 'plain' || row.found.length > 0 || row.more > 0) {
      this.numbers.push(OTHER);
      this.others.push(row);
      return;
    }
    this.leaves += row.leaf ?? '';
    this.stored += row.stored ?? '';
    if (content.entry.kind === 'decision') this.decision(row, content.entry);
    else this.outcome(row, content.entry);
  }

  take(): Packed {
    const { strings, leaves, stored, others } = this;
    return { numbers: Float64Array.from(this.numbers), strings, leaves, stored, others };
  }

  private decision({ seq, withheld }: Judged, entry: PlainDecision): void {
    const { agent, call, effect, mode, policy, session, would, writer, budgets } = entry;
    this.numbers.push(
      DECISION,
      seq,
      withheld ? 1 : 0,
      entry.at,
      this.place(agent),
      this.place(call),
      this.place(session),
      this.place(writer),
    );
    this.numbers.push(this.place(effect), this.place(mode), this.place(would), this.place(policy.hash), this.place(policy.id));
    this.numbers.push(budgets?.length ?? NONE);
    for (const { cost, id, key, left, limit, per, window_ms: window } of budgets ?? [])
      this.numbers.push(cost, this.place(id), this.place(key), left, limit, this.place(per), window ?? NONE);
  }

  private outcome({ seq, withheld }: Judged, { at, agent, call, session, writer, decision }: PlainOutcome): void {
    this.numbers.push(OUTCOME, seq, withheld ? 1 : 0, at, this.place(agent), this.place(call), this.place(session), this.place(writer));
    this.numbers.push(decision.of, this.place(decision.leaf));
  }

  private place(text: string): number {
    let place = this.places.get(text);
    if (place === undefined) {
      place = this.strings.push(text) - 1;
      this.places.set(text, place);
    }
    return place;
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
    const { numbers, others, leaves, stored } = this.packed;
    const rows: Judged[] = [];
    let other = 0;
    let plain = 0;
    while (this.at < numbers.length) {
      const tag = this.number();
      if (tag === OTHER) {
        rows.push(others[other++] as Judged);
        continue;
      }
      const seq = this.number();
      const withheld = this.number() === 1;
      const fields = { at: this.number(), agent: this.text(), call: this.text(), session: this.text(), writer: this.text() };
      rows.push({
        seq,
        leaf: leaves.slice(plain * DIGEST_CHARS, (plain + 1) * DIGEST_CHARS),
        stored: stored.slice(plain * HASH_CHARS, (plain + 1) * HASH_CHARS),
        fits: true,
        found: NOTHING_FOUND,
        more: 0,
        content: { is: 'plain', entry: tag === DECISION ? this.decision(fields) : this.outcome(fields) },
        withheld,
      });
      plain++;
    }
    return rows;
  }

  private decision(fields: Fields): PlainDecision {
    const [effect, mode, would] = [this.text(), this.text(), this.text()] as [PlainDecision['effect'], PlainDecision['mode'], 'allow'];
    const policy = { hash: this.text(), id: this.text() };
    return { kind: 'decision', ...fields, effect, mode, would, policy, budgets: this.budgets() };
  }

  private budgets(): PlainDecision['budgets'] {
    const count = this.number();
    if (count === NONE) return undefined;
    return Array.from({ length: count }, () => {
      const charge = { cost: this.number(), id: this.text(), key: this.text(), left: this.number(), limit: this.number() };
      const per = this.text() as 'agent';
      const window = this.number();
      return window === NONE ? { ...charge, per } : { ...charge, per, window_ms: window };
    });
  }

  private outcome(fields: Fields): PlainOutcome {
    return { kind: 'outcome', ...fields, decision: { of: this.number(), leaf: this.text() } };
  }

  private number(): number {
    return this.packed.numbers[this.at++] as number;
  }

  private text(): string {
    return this.packed.strings[this.number()] as string;
  }
}

type Fields = Pick<PlainDecision, 'at' | 'agent' | 'call' | 'session' | 'writer'>;
