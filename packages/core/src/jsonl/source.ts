/**
 * A ledger as JSON lines, opened for verification: a mirror with its checkpoint beside it, or an export.
 *
 * One thread, one pass to count lines, one to read them; what is held at once is bounded whatever the file holds. Files
 * are read as far as they reached when they were opened, so that a mirror may be appended to meanwhile.
 */
import { resolve } from 'node:path';
import type { EntryRef } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { MAX_CHECKPOINT_CHARS } from '../ledger/checkpoint.ts';
import { MAX_NOTE_BYTES } from '../ledger/note.ts';
import type { LedgerSource, SourceFault, SourceRow, StoredCheckpoint, StoredTile } from '../verify/source.ts';
import { HEADER_MARK, SELECTION_MARK } from './export-header.ts';
import { indexLines, type LineIndex } from './line-index.ts';
import { type Line, ReadingStopped, readLines } from './lines.ts';
import { type OpenFile, openFile } from './open-file.ts';
import { exportShape, MAX_EXPORT_LINE_BYTES, mirrorShape, type Shape } from './shape.ts';

/** What a mirror's checkpoint file is called, after the mirror's own name. */
export const CHECKPOINT_SUFFIX = '.checkpoint';
const CHUNK_ROWS = 1000;
/** Text held at once; a single line may exceed it. */
const CHUNK_BYTES = 4_194_304;
const MAX_FAULTS = 100;
const SNIFFED_BYTES = 65_536;
/** A line of an export whose header was taken away. */
const EXPORT_LINE_MARK = '{"index":';
const ENTRY_MARK = '"kind":"';

/**
 * Opens JSON lines for verification.
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`
 */
export function openJsonlSource(path: string): LedgerSource {
  const name = resolve(path);
  // First the checkpoint: a mirror that is written to meanwhile then has at least what the checkpoint covers.
  const beside = readCheckpointFile(`${name}${CHECKPOINT_SUFFIX}`);
  const file = openFile(name);
  try {
    return new JsonlSource(file, shapeOf(file, beside));
  } catch (error) {
    file.close();
    throw error;
  }
}

interface CheckpointFile {
  readonly checkpoint: StoredCheckpoint | undefined;
  readonly faults: readonly SourceFault[];
}

function readCheckpointFile(path: string): CheckpointFile {
  let file: OpenFile;
  try {
    file = openFile(path);
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    if (error.code === 'LEDGER_NOT_FOUND') return { checkpoint: undefined, faults: [] };
    return {
      checkpoint: undefined,
      faults: [{ code: 'CHECKPOINT_INVALID', message: `the checkpoint beside the mirror: ${error.message}` }],
    };
  }
  try {
    const bytes = Buffer.alloc(Math.min(file.sizeBytes, MAX_NOTE_BYTES + 1));
    const text = bytes.subarray(0, file.read(bytes, 0)).toString('utf8');
    const note = file.sizeBytes <= MAX_NOTE_BYTES && Buffer.from(text).equals(bytes) ? text : undefined;
    return { checkpoint: { size: sizeIn(note), note }, faults: [] };
  } finally {
    file.close();
  }
}

/** What its second line says; whether the rest is a checkpoint is for the verifier to see. */
function sizeIn(note: string | undefined): number {
  const size = Number(note?.slice(0, MAX_CHECKPOINT_CHARS).split('\n', 2)[1]);
  return Number.isSafeInteger(size) && size >= 0 ? size : 0;
}

function shapeOf(file: OpenFile, beside: CheckpointFile): Shape {
  const bytes = Buffer.alloc(Math.min(file.sizeBytes, SNIFFED_BYTES));
  const start = bytes.subarray(0, file.read(bytes, 0)).toString('utf8');
  if (start.startsWith(SELECTION_MARK))
    throw unreadable(file, 'it is a selection of entries, which no checkpoint covers: export the whole ledger, or make a receipt');
  if (start.startsWith(HEADER_MARK) || start.startsWith(EXPORT_LINE_MARK)) {
    const [line] = readLines(file, 0, MAX_EXPORT_LINE_BYTES);
    if (line !== undefined && line.content?.toString('utf8').endsWith(',"entries":[') === true)
      throw unreadable(file, 'it is an export as one JSON document: export it with --format ndjson to verify it');
    if (line !== undefined) return exportShape(line);
  }
  // With a checkpoint beside it, it is meant to be a mirror, whatever became of it.
  const isMirror = beside.checkpoint !== undefined || beside.faults.length > 0;
  if (!isMirror && file.sizeBytes === 0) throw unreadable(file, 'the file is empty');
  if (!isMirror && !(start.startsWith('{') && start.includes(ENTRY_MARK)))
    throw unreadable(file, 'it is neither a database nor lines of a ledger');
  return mirrorShape(beside.checkpoint, beside.faults);
}

class JsonlSource implements LedgerSource {
  readonly format: string;
  readonly origin: string | undefined;
  readonly stores: LedgerSource['stores'];
  readonly mayLag: boolean;
  readonly size: number;
  readonly #file: OpenFile;
  readonly #shape: Shape;
  readonly #lines: LineIndex;
  #faults: SourceFault[];
  /** Bodies of the newest chunk in which a replacement character stands: they are asked for again. */
  #odd = new Map<number, string>();
  #faultCount = 0;

  constructor(file: OpenFile, shape: Shape) {
    this.#file = file;
    this.#shape = shape;
    this.#lines = indexLines(file);
    this.#faults = [...shape.faults];
    this.format = shape.format;
    this.origin = shape.origin;
    this.mayLag = shape.mayLag;
    this.stores = { leaves: shape.hasLeaves, tiles: false };
    const { ended, tornBytes } = this.#lines;
    const entries = Math.max(0, ended - shape.headerLines);
    this.size = entries + (tornBytes > 0 && this.#hasTornEntry(entries) ? 1 : 0);
  }

  get faults(): readonly SourceFault[] {
    return this.#faults;
  }

  *chunks(from = 0): Generator<readonly SourceRow[]> {
    let rows: SourceRow[] = [];
    let bytes = 0;
    this.#odd = new Map();
    this.#faults = [...this.#shape.faults];
    this.#faultCount = 0;
    try {
      for (const row of this.#rows(from, (fault) => this.#fault(fault))) {
        if (rows.length >= CHUNK_ROWS || (rows.length > 0 && bytes + row.bytes > CHUNK_BYTES)) {
          yield rows;
          rows = [];
          bytes = 0;
          this.#odd = new Map();
        }
        rows.push(row);
        bytes += row.bytes;
        if (row.body?.includes('\ufffd') === true) this.#odd.set(row.seq, row.body);
      }
    } catch (error) {
      this.#fault({ code: 'FILE_DAMAGED', message: `the file cannot be read to its end: ${reasonOf(error)}`, weight: 'change' });
    }
    if (rows.length > 0) yield rows;
  }

  body(seq: number): string | undefined {
    const known = this.#odd.get(seq);
    if (known !== undefined) return known;
    try {
      for (const row of this.#rows(seq, () => {})) return row.seq === seq ? row.body : undefined;
    } catch (error) {
      // Told by whoever reads all of it.
      reasonOf(error);
    }
    return undefined;
  }

  /** What is no UTF-8 is handed out as no body at all, so the text has but one encoding. */
  bytes(seq: number): Uint8Array | undefined {
    const body = this.body(seq);
    return body === undefined ? undefined : Buffer.from(body);
  }

  tile(): StoredTile | undefined {
    return undefined;
  }

  tileCount(): number {
    return 0;
  }

  newestCheckpoint(): StoredCheckpoint | undefined {
    return this.#shape.checkpoint;
  }

  checkpointAfter(size: number): StoredCheckpoint | undefined {
    const { checkpoint } = this.#shape;
    return checkpoint !== undefined && checkpoint.size > size ? checkpoint : undefined;
  }

  rememberedLeaves(): Iterable<EntryRef> {
    return [];
  }

  strayOpenings(): readonly number[] {
    return [];
  }

  close(): void {
    this.#file.close();
  }

  /** Entries by the positions they claim, never one before another. */
  *#rows(from: number, tell: (fault: SourceFault) => void): Generator<SourceRow> {
    const { headerLines, maxLineBytes } = this.#shape;
    const near = this.#lines.before(from + headerLines);
    let number = near.line;
    let next = from;
    for (const line of readLines(this.#file, near.offset, maxLineBytes)) {
      const position = number++ - headerLines;
      if (position < from) continue;
      const row = this.#row(line, next, tell);
      if (row === undefined) continue;
      if (row.seq < next) {
        tell({ code: 'ENTRY_MISPLACED', message: `line ${number} says it is entry ${row.seq + 1}, but stands after entry ${next}` });
        continue;
      }
      yield row;
      next = row.seq + 1;
    }
  }

  #row(line: Line, next: number, tell: (fault: SourceFault) => void): SourceRow | undefined {
    const row = this.#shape.row(line, next);
    if (line.isEnded) return typeof row === 'string' ? unreadableRow(line, next, row) : row;
    return this.#tornRow(line, next, wholeRow(row), tell);
  }

  /** What follows the last line end: an entry only if a checkpoint covers it and it is all there. */
  #tornRow(line: Line, next: number, row: SourceRow | undefined, tell: (fault: SourceFault) => void): SourceRow | undefined {
    const torn = `the last line has no end (${line.sizeBytes} bytes)`;
    const isCovered = this.#isCovered(next);
    if (!isCovered) {
      tell({ code: 'LINE_TORN', message: `${torn}: a half written entry, which no checkpoint covers`, weight: 'unproven' });
      return undefined;
    }
    if (row !== undefined) {
      tell({ code: 'LINE_TORN', message: `${torn}, but the entry is all there`, entry: next + 1, weight: 'warning' });
      return row;
    }
    tell({ code: 'LINE_TORN', message: `${torn}: the entry was cut off`, entry: next + 1, weight: 'change' });
    return undefined;
  }

  #hasTornEntry(position: number): boolean {
    const { tornBytes } = this.#lines;
    const { maxLineBytes } = this.#shape;
    if (tornBytes > maxLineBytes || !this.#isCovered(position)) return false;
    for (const line of readLines(this.#file, this.#file.sizeBytes - tornBytes, maxLineBytes))
      return wholeRow(this.#shape.row(line, position)) !== undefined;
    return false;
  }

  /** In an export everything is. */
  #isCovered(position: number): boolean {
    return !this.#shape.mayLag || position < (this.#shape.checkpoint?.size ?? 0);
  }

  #fault(fault: SourceFault): void {
    if (++this.#faultCount <= MAX_FAULTS) this.#faults.push(fault);
  }
}

function unreadableRow(line: Line, seq: number, unreadable: string): SourceRow {
  return { seq, body: undefined, leaf: undefined, bytes: line.sizeBytes, opening: undefined, unreadable };
}

/** The first part of a JSON object is never JSON. */
function wholeRow(row: SourceRow | string): SourceRow | undefined {
  if (typeof row === 'string' || row.body === undefined) return undefined;
  try {
    JSON.parse(row.body);
    return row;
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof ReadingStopped) return error.message;
  const code = (error as { readonly code?: unknown } | null)?.code;
  if (typeof code === 'string' && code.startsWith('E')) return code;
  throw error;
}

function unreadable({ path }: OpenFile, why: string): CountersignError {
  return new CountersignError('LEDGER_UNREADABLE', `cannot read the ledger ${path}: ${why}`);
}
