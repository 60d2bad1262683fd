/** Erasing clear text inside the transaction: the openings, and the keys and MACs that would let somebody test a guess. */
import type { EntryRef } from '../call.ts';
import type { EntryBody, Opening } from '../ledger/entry.ts';
import type { Committed, ForgetUnit } from '../store-units.ts';
import type { CallRecord, Tx } from './tx.ts';

/** References in one entry; more take several. */
export const MAX_FORGOTTEN_PER_ENTRY = 200;

type Objection = Extract<Committed, { readonly kind: 'not-forgettable' }>;

export function forget(unit: ForgetUnit, tx: Tx): Committed {
  const calls = new Set(unit.calls);
  // A call that went on since its entries were looked up has more of them.
  if (unit.calls.some((call) => hasEntriesSince(call, unit.since, tx))) return { kind: 'stale' };
  for (const ref of unit.entries) {
    const entry = tx.entry(ref);
    if (entry === undefined) return { kind: 'not-forgettable', why: 'unknown', of: ref.of };
    if ('call' in entry) calls.add(entry.call);
  }
  for (const call of calls) {
    const objection = objectionTo(call, tx);
    if (objection !== undefined) return objection;
  }
  const erased = unit.entries.filter(({ of }) => tx.eraseOpening(of));
  for (const call of calls) eraseTraces(call, tx);
  if (erased.length === 0) return { kind: 'not-forgettable', why: 'already' };
  return { kind: 'forgotten', recorded: recordAll(erased, unit.reasonCode, tx), entries: erased };
}

function hasEntriesSince(call: string, since: number, tx: Tx): boolean {
  return tx.entriesAbout(since - 1, call).some((entry) => 'call' in entry && entry.call === call);
}

/** Whose clear text is still needed, or would come back. */
function objectionTo(call: string, tx: Tx): Objection | undefined {
  const row = tx.callById(call);
  if (row === undefined) return undefined;
  const of = row.decision.of;
  // Its outcome is still to be written, with clear text of its own. Where the writer died none will come.
  if (row.state === 'allowed' && row.writerAlive) return { kind: 'not-forgettable', why: 'running', of };
  const approval = row.state === 'asked' && row.approval !== undefined ? tx.approval(row.approval) : undefined;
  const isWaiting = approval !== undefined && (approval.state === 'pending' || approval.state === 'approved');
  return isWaiting && tx.atMs < approval.expiresAtMs ? { kind: 'not-forgettable', why: 'pending', of } : undefined;
}

/**
 * The binding key and the match are keyed digests of the raw arguments, and both keys lie in the ledger: who has it could
 * test guesses. The call key stays: without it a call could run twice, and it hides the arguments behind the framework's
 * own id, which is not in the ledger.
 */
function eraseTraces(call: string, tx: Tx): void {
  const row = tx.callById(call);
  if (row === undefined) return;
  const { bindKey: _gone, writerAlive: _now, ...kept } = row;
  tx.putCall({ ...kept, match: '' });
}

/**
 * What was forgotten stays forgotten: a guard that waited for an answer, or was taken for dead, still holds the call and
 * writes about it afterwards.
 */
export function appendUnlessForgotten(
  body: EntryBody,
  opening: Opening | undefined,
  row: Pick<CallRecord, 'match' | 'state'> | undefined,
  tx: Tx,
): { readonly entry: EntryRef; readonly isForgotten?: true } {
  // Calls whose arguments could not be read have no match either, and are denied at once.
  const isForgotten = row?.match === '' && (row.state === 'asked' || row.state === 'unknown');
  if (!isForgotten || opening === undefined) return { entry: tx.append(body, opening) };
  const entry = tx.append(body);
  tx.append({ kind: 'forget', entries: [entry] });
  return { entry, isForgotten };
}

function recordAll(erased: readonly EntryRef[], reasonCode: string | undefined, tx: Tx): readonly EntryRef[] {
  const recorded: EntryRef[] = [];
  for (let i = 0; i < erased.length; i += MAX_FORGOTTEN_PER_ENTRY) {
    const entries = erased.slice(i, i + MAX_FORGOTTEN_PER_ENTRY).map(({ of, leaf }) => ({ of, leaf }));
    recorded.push(tx.append({ kind: 'forget', entries, ...(reasonCode !== undefined && { reason_code: reasonCode }) }));
  }
  return recorded;
}
