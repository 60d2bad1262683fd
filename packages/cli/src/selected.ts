/** Going through a ledger, record by record. */
import { type Criteria, factsOf, type LedgerRecord, type RecordFacts, type RecordReader, selection } from '@countersign/core/sqlite';
import { UsageError } from './failure.ts';
import { type Output, safe } from './output.ts';

/**
 * Entries of SudoAgent hold their clear text themselves: it cannot be left out of what copies whole entries.
 *
 * @throws {UsageError}
 */
export function checkOpeningsCanGo({ container }: RecordReader): void {
  if (!container.startsWith('sudoagent')) return;
  throw new UsageError(
    '--no-openings: entries of a SudoAgent ledger hold their clear text themselves',
    'use --format csv, ocsf or acta, which leave it out',
  );
}

export interface Found {
  readonly record: LedgerRecord;
  readonly facts: RecordFacts;
}

/** Told every so many records. */
const PROGRESS_RECORDS = 10_000;

const MAX_FAULTS_TOLD = 3;

/** To be told when all was read: what is left out because the file is damaged is no record that anybody would miss. */
export function noteFaults({ faults }: RecordReader, output: Output): void {
  const all = faults?.() ?? [];
  for (const fault of all.slice(0, MAX_FAULTS_TOLD)) output.note(`countersign: ${safe(fault)}; run \`countersign verify\``);
  if (all.length > MAX_FAULTS_TOLD) output.note(`countersign: ${all.length - MAX_FAULTS_TOLD} more of the kind`);
}

/** The records that are meant, in order. @throws {UsageError} for a malformed pattern. */
export function selected(reader: RecordReader, criteria: Criteria, onProgress: (done: number, total: number) => void): Iterable<Found> {
  // Made now, so that what is wrong is said before anything is written.
  const isMeant = selectionOf(criteria);
  return pick(reader, isMeant, onProgress);
}

function* pick(
  reader: RecordReader,
  isMeant: (facts: RecordFacts) => boolean,
  onProgress: (done: number, total: number) => void,
): Generator<Found> {
  let read = 0;
  for (const record of reader.records()) {
    const facts = factsOf(record, reader.container);
    if (++read % PROGRESS_RECORDS === 0) onProgress(read, reader.size ?? 0);
    if (isMeant(facts)) yield { record, facts };
  }
}

/** @throws {UsageError} for a malformed pattern. */
export function selectionOf(criteria: Criteria): (facts: RecordFacts) => boolean {
  try {
    return selection(criteria);
  } catch (error) {
    throw new UsageError(`--${error instanceof Error ? error.message : String(error)}`, 'for example: --tool "files/read_*"');
  }
}

/** The first so many, and whether there would have been more. */
export class Taken<T> implements Iterable<T> {
  count = 0;
  wasCut = false;
  readonly #found: Iterable<T>;
  readonly #limit: number;

  constructor(found: Iterable<T>, limit: number) {
    this.#found = found;
    this.#limit = limit;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const each of this.#found) {
      if (this.count === this.#limit) {
        this.wasCut = true;
        return;
      }
      this.count++;
      yield each;
    }
  }
}

export function* mapped<T, R>(items: Iterable<T>, map: (item: T) => R): Generator<R> {
  for (const item of items) yield map(item);
}
