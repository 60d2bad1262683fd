/**
 * Receipts of a log of a million entries.
 *
 * "size": what the receipt of an allow and its outcome holds beside the two entries and their clear text: two proofs, each
 * with the checkpoint. "check": checking it with a key, once the process runs. Bounded twice: in milliseconds, as the
 * issue asks (the median of single checks), and against the cryptography it cannot do without, one Ed25519 verification
 * and one SHA-256 for each hash of the two paths, done in the same run. "make" opens the ledger, reads
 * a few rows of tiles and up to 255 entries, and verifies the proof; its milliseconds are printed.
 */

import { hash } from 'node:crypto';
import { checkReceipt, generateKey, signerFromPem, verifyCheckpoint } from '@countersign/core';
import { makeReceipt } from '@countersign/core/sqlite';
import { nodeHash } from '../packages/core/src/ledger/merkle.ts';
import { parseTlogProof } from '../packages/core/src/ledger/tlog-proof.ts';
import { decideUnit } from './calls.ts';
import { atMost, type Claim, type Measured, printed } from './figure.ts';
import { benchStore, freshPath, ORIGIN } from './fixtures.ts';
import { timeRatio } from './measure.ts';

const ENTRIES = 1_000_000;
const CALLERS = 512;
const SINGLE_CHECKS = 301;

const size = 'receipt of a call at 1,000,000 entries, beside entries and clear text';
const checkMs = 'receipt check with a key, 1,000,000 entries, median of single checks';
const checkRatio = 'receipt check with a key / Ed25519 verify + the hashes of its paths';
const makeMs = 'receipt make at 1,000,000 entries, median';

export const receiptClaims: readonly Claim[] = [
  { name: size, measure: async () => atMost(size, overhead((await made()).text), 4096, 'bytes') },
  { name: checkMs, measure: async () => atMost(checkMs, await singleCheckMs(), 2, 'ms') },
  { name: checkRatio, measure: () => ratio() },
  { name: makeMs, measure: async () => printed(makeMs, await singleMakeMs(), 'ms') },
];

interface Made {
  readonly path: string;
  readonly call: string;
  readonly vkey: string;
  readonly text: string;
}

let fixture: Promise<Made> | undefined;

/** One ledger for all claims: it takes a minute to write. */
function made(): Promise<Made> {
  fixture ??= writeLedger();
  return fixture;
}

async function writeLedger(): Promise<Made> {
  const key = generateKey(ORIGIN);
  const path = freshPath('receipts.db');
  const store = benchStore(signerFromPem(key.privatePem, ORIGIN), path);
  const notes = async (count: number): Promise<void> => {
    let left = count;
    const caller = async (): Promise<void> => {
      while (left-- > 0) await store.commit({ kind: 'record', body: { kind: 'note', topic: 'bench', data: left } });
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
  };
  await notes(ENTRIES / 2);
  const unit = decideUnit();
  const decided = await store.commit(unit);
  if (decided.kind !== 'decided') throw new Error('the decision of the bench was not committed');
  const { agent, session, call } = unit.body;
  await store.commit({
    kind: 'outcome',
    body: { kind: 'outcome', agent, session, call, decision: decided.entry, status: 'success', duration_ms: 1 },
  });
  await notes(ENTRIES / 2);
  await store.close();
  const { text, size: covered } = makeReceipt(path, { call });
  if (covered < ENTRIES) throw new Error(`the ledger has ${covered} entries`);
  return { path, call, vkey: key.vkey, text };
}

function overhead(text: string): number {
  const receipt = JSON.parse(text) as { entry: string; opening?: unknown; outcome: { entry: string } };
  const clear = receipt.opening === undefined ? 0 : JSON.stringify(receipt.opening).length;
  const escaped = (entry: string): number => Buffer.byteLength(JSON.stringify(entry));
  return Buffer.byteLength(text) - escaped(receipt.entry) - escaped(receipt.outcome.entry) - clear;
}

async function singleCheckMs(): Promise<number> {
  const { text, vkey } = await made();
  return medianMs(() => checkOnce(text, vkey));
}

async function singleMakeMs(): Promise<number> {
  const { path, call } = await made();
  return medianMs(() => void makeReceipt(path, { call }));
}

async function ratio(): Promise<Measured> {
  const { text, vkey } = await made();
  const { proof } = JSON.parse(text) as { proof: string };
  const { checkpoint, hashes } = parseTlogProof(proof);
  const times = (work: () => void) => (count: number) => {
    for (let i = 0; i < count; i++) work();
  };
  const floor = (): void => {
    verifyCheckpoint(checkpoint, [vkey]);
    for (const each of hashes) for (let part = 0; part < 2; part++) nodeHash(each, each);
    hash('sha256', text, 'hex');
  };
  const value = await timeRatio(
    times(() => checkOnce(text, vkey)),
    times(floor),
    { count: 20 },
  );
  return atMost(checkRatio, value, 4);
}

function checkOnce(text: string, vkey: string): void {
  if (checkReceipt(text, { publicKeys: [vkey] }).status !== 'valid') throw new Error('the receipt of the bench is not valid');
}

function medianMs(work: () => void): number {
  const times = Array.from({ length: SINGLE_CHECKS }, () => {
    const startedAt = performance.now();
    work();
    return performance.now() - startedAt;
  }).toSorted((a, b) => a - b);
  return times[Math.floor(times.length / 2)] as number;
}
