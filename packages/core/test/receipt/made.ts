/** Receipts to attack: a small log made by hand, so that every entry and proof can be forged with its key. */
import { canonicalize, type Json } from '../../src/index.ts';
import { signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { commitSection } from '../../src/ledger/commitment.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { CompactRange, inclusionProof, leafHash, nodeHash } from '../../src/ledger/merkle.ts';
import { formatTlogProof } from '../../src/ledger/tlog-proof.ts';
import { LEDGER_PEM, ORIGIN } from '../fixtures/ledger.ts';

export type Loose = { [key: string]: Json };

const id = (number: number): string => number.toString(16).padStart(32, '0');
const context = { agent: 'bot', session: 's1' };
const policy = { id: 'p', hash: '0'.repeat(64) };
export const KEY = 'ab'.repeat(32);

const decision = (call: number, effect: string, args: Json): Loose => ({
  kind: 'decision',
  ...context,
  call: id(call),
  tool: { name: 'refund' },
  mode: 'enforce',
  effect,
  would: effect,
  reason_code: 'TEST',
  policy,
  args_commit: commitSection(KEY, 'args', args),
  reason_commit: commitSection(KEY, 'reason', 'because'),
});

export const ARGS = { amount: 120, iban: 'DE89', note: 'x' };
const bodies: Loose[] = [
  { kind: 'session', ...context, event: 'start' },
  decision(1, 'allow', ARGS),
  decision(2, 'allow', ARGS),
  { kind: 'outcome', ...context, call: id(1), decision: { of: 1, leaf: '' }, status: 'success', duration_ms: 1 },
  { kind: 'outcome', ...context, call: id(2), decision: { of: 2, leaf: '' }, status: 'success', duration_ms: 1 },
  decision(3, 'deny', ARGS),
  { kind: 'outcome', ...context, call: id(3), decision: { of: 5, leaf: '' }, status: 'success', duration_ms: 1 },
];

/** A log of these entries and what its key signs of it. */
export class MadeLog {
  readonly texts: string[] = [];
  readonly leaves: string[] = [];

  constructor(change: (bodies: Loose[]) => void = () => {}) {
    const own = structuredClone(bodies);
    change(own);
    for (const [index, body] of own.entries()) {
      const ref = body['decision'] as { of: number; leaf: string } | undefined;
      const linked =
        ref === undefined || ref.leaf !== '' ? body : { ...body, decision: { of: ref.of, leaf: this.leaves[ref.of] ?? '0'.repeat(64) } };
      const text = canonicalize({ v: 1, id: id(index + 100), at: 1000 + index, writer: id(7), ...linked });
      this.texts.push(text);
      this.leaves.push(leafHash(text));
    }
  }

  note(size = this.texts.length, pem = LEDGER_PEM, origin = ORIGIN): string {
    const range = new CompactRange();
    for (const leaf of this.leaves.slice(0, size)) range.push(leaf);
    return signCheckpoint({ origin, size, root: range.root() }, signerFromPem(pem, origin));
  }

  proof(index: number, note = this.note()): string {
    const size = Number(note.split('\n')[1]);
    return formatTlogProof({ index, hashes: inclusionProof(index, size, (level, i) => this.subtree(level, i)), checkpoint: note });
  }

  part(index: number, note = this.note()): Loose {
    return { entry: this.texts[index] as string, proof: this.proof(index, note) };
  }

  private subtree(level: number, index: number): string {
    if (level === 0) return this.leaves[index] as string;
    return nodeHash(this.subtree(level - 1, 2 * index), this.subtree(level - 1, 2 * index + 1));
  }
}

export const OPENING: Loose = { key: KEY, sections: { args: ARGS, reason: 'because' } };

/** A receipt of entry 2, an allow, with its outcome. */
export function receiptOf(log: MadeLog = new MadeLog(), change: (receipt: Loose) => void = () => {}): string {
  const receipt: Loose = { countersign: 'receipt', v: 1, ...log.part(1), opening: OPENING, outcome: log.part(3) };
  change(receipt);
  return canonicalize(receipt);
}
