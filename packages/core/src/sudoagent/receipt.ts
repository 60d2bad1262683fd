/**
 * Receipts for ledgers of SudoAgent 2.0: a decision and its outcome as they stand in the ledger, to be checked without it.
 *
 *     {"countersign":"sudoagent-receipt","entry":"{\"action\":...}","outcome":"{\"action\":...}","v":1}
 *
 * That ledger is a chain and no tree, so nothing in here can prove more than these entries say about themselves: that their
 * hashes are theirs, that outcome and decision belong together, and who signed them. Where they stand, and that no entry
 * was cut out or off around them, only the whole ledger shows.
 */

import { containerFormat } from '../container/format.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { parseSudoEntry, readSudoShape, type SudoCall } from './entry.ts';
import { openSudoSource } from './open.ts';
import { checkSudoReceipt } from './receipt-check.ts';

export type SudoReceiptTarget = { readonly requestId: string } | { readonly decisionHash: string };

export interface MadeSudoReceipt {
  /** The receipt, to be written as it is. */
  readonly text: string;
  /** Number of the decision in the ledger it was taken from, from 1. Not in the receipt: nothing there could prove it. */
  readonly entry: number;
  readonly decisionHash: string;
  readonly effect: 'allow' | 'deny';
  /** Number of its outcome; absent when there is none. */
  readonly outcome?: number;
  readonly isSigned: boolean;
}

/** Entries named in a message when several match. */
const MAX_NAMED = 10;

/**
 * Takes one call out of a ledger of lines or rows, read-only.
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE` (also when it is no ledger of SudoAgent),
 *   `LEDGER_CORRUPT` when what was found contradicts itself, `ENTRY_NOT_FOUND`, `ENTRY_AMBIGUOUS`, `ENTRY_TOO_LARGE`
 */
export function makeSudoReceipt(path: string, target: SudoReceiptTarget): MadeSudoReceipt {
  const { decisions, outcomes } = findCall(path, target);
  const [decision] = decisions;
  const named = 'requestId' in target ? 'that request id' : 'that decision hash';
  if (decision === undefined) throw new CountersignError('ENTRY_NOT_FOUND', `no decision in the ledger has ${named}`);
  const several = [decisions, outcomes].find((entries) => entries.length > 1);
  if (several !== undefined) {
    const numbers = several.slice(0, MAX_NAMED).map(({ number }) => number);
    const what = several === decisions ? 'decisions' : 'outcomes';
    const more = several.length > MAX_NAMED ? ' and more' : '';
    throw new CountersignError('ENTRY_AMBIGUOUS', `several ${what} have ${named}: entries ${numbers.join(', ')}${more}`);
  }
  const [outcome] = outcomes;
  const text = formatReceipt(decision.text, outcome?.text);
  const [problem] = checkSudoReceipt(text).problems;
  if (problem !== undefined) {
    const number = problem.part === 'outcome' ? outcome?.number : decision.number;
    throw new CountersignError(
      'LEDGER_CORRUPT',
      `entry ${number} is not fit for a receipt: ${problem.message}; run \`countersign verify\``,
    );
  }
  return {
    text,
    entry: decision.number,
    decisionHash: decision.call.decisionHash,
    effect: decision.effect,
    ...(outcome !== undefined && { outcome: outcome.number }),
    isSigned: decision.isSigned && outcome?.isSigned !== false,
  };
}

interface Match {
  readonly number: number;
  readonly text: string;
  readonly call: SudoCall;
  readonly effect: 'allow' | 'deny';
  readonly isSigned: boolean;
}

function findCall(path: string, target: SudoReceiptTarget): { readonly decisions: readonly Match[]; readonly outcomes: readonly Match[] } {
  const container = containerFormat(path);
  if (container !== 'sudoagent-jsonl' && container !== 'sudoagent-sqlite')
    throw new CountersignError('LEDGER_UNREADABLE', `${path} is not a ledger of SudoAgent: its entries have no request id`);
  const decisions: Match[] = [];
  const outcomes: Match[] = [];
  const source = openSudoSource(path, container);
  try {
    const wanted = 'requestId' in target ? target.requestId : target.decisionHash;
    // Names the entry in its text whatever else does: parsing all of them would take ten times as long.
    const mark = JSON.stringify(wanted);
    let number = 0;
    for (const rows of source.chunks()) {
      for (const { text } of rows) {
        number++;
        if (text?.includes(mark) !== true) continue;
        const match = readMatch(text, number);
        const { requestId, decisionHash } = match?.call ?? {};
        if (match === undefined || ('requestId' in target ? requestId : decisionHash) !== wanted) continue;
        const list = match.call.event === 'decision' ? decisions : outcomes;
        if (list.length <= MAX_NAMED) list.push(match);
      }
    }
  } finally {
    source.close();
  }
  return { decisions, outcomes };
}

/** @throws {CountersignError} `LEDGER_CORRUPT` */
function readMatch(text: string, number: number): Match | undefined {
  let parsed: ReturnType<typeof parseSudoEntry>;
  try {
    parsed = parseSudoEntry(text);
  } catch (cause) {
    throw new CountersignError('LEDGER_CORRUPT', `entry ${number}, which holds it, is not canonical; run \`countersign verify\``, {
      cause,
    });
  }
  if ('why' in parsed) throw new CountersignError('LEDGER_CORRUPT', `entry ${number}, which holds it, is malformed: ${parsed.why}`);
  const shape = readSudoShape(parsed);
  if (shape.kind !== 'decision' && shape.kind !== 'outcome') return undefined;
  const effect = shape.kind === 'decision' ? shape.entry.effect : 'allow';
  return { number, text, call: shape.entry, effect, isSigned: parsed.signature !== undefined };
}

function formatReceipt(entry: string, outcome: string | undefined): string {
  try {
    return canonicalize({ countersign: 'sudoagent-receipt', v: 1, entry, outcome });
  } catch (cause) {
    throw new CountersignError('ENTRY_TOO_LARGE', 'the entries are too large for a receipt', { cause });
  }
}
