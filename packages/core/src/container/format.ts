/**
 * Which kind of ledger a file is, from its first bytes and those of the `-wal` beside it. It decides who reads the file,
 * never whether to believe it: each reader checks everything again. Nothing is opened with SQLite, which would leave its own
 * files beside it.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { CountersignError } from '../errors.ts';
import { APPLICATION_ID } from '../sqlite/schema.ts';

/**
 * `sqlite`: our ledger. `jsonl`: our entries as lines (docs/formats/jsonl.md). `sudoagent-*`: ledgers of the predecessor.
 * A database that is neither is `sqlite`: its reader says what is wrong with it.
 */
export type ContainerFormat = 'sqlite' | 'jsonl' | 'sudoagent-sqlite' | 'sudoagent-jsonl';

const SQLITE_MAGIC = 'SQLite format 3\0';
/** The largest page SQLite has. */
const SNIFFED_BYTES = 65_536;
/** The schema of a new database stands in the first frames of its WAL. */
const SNIFFED_WAL_BYTES = 1_048_576;
const HEADER_BYTES = 100;
const APPLICATION_ID_OFFSET = 68;
const SUDOAGENT_COLUMNS = ['entry_json', 'entry_hash', 'prev_entry_hash'];
/** A text tells by these what it is, even when a line of it was changed or cut; in a string they would be escaped. */
const SUDOAGENT_MARKS = ['"schema_version":"2.0"', '"ledger_version":"2.0"', '"prev_entry_hash":', '"entry_hash":', '"event":"'];
const ENOUGH_MARKS = 3;
/** How its lines begin: enough for one that was cut off. */
const SUDOAGENT_LINE = /^\{"action":"(?:[^"\\]|\\.){0,1000}","agent_id":"/;
/** How our own lines begin: an export, or the first member of an entry. */
const OWN_LINE = /^\{"(?:countersign|index|agent|at)":/;
const LINES_SNIFFED = 20;

/**
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE` (no regular file, or it cannot be read).
 */
export function containerFormat(path: string): ContainerFormat {
  const file = resolve(path);
  const start = firstBytes(file, SNIFFED_BYTES);
  if (start.subarray(0, SQLITE_MAGIC.length).toString('latin1') === SQLITE_MAGIC) return databaseFormat(file, start);
  // The predecessor makes the file before its first entry. A mirror of ours has a checkpoint beside it.
  if (start.length === 0) return /\.jsonl$/i.test(file) && !existsSync(`${file}.checkpoint`) ? 'sudoagent-jsonl' : 'jsonl';
  return textFormat(start.toString('utf8'));
}

/** The first line that tells. One may be changed or torn, so each of the first is asked. */
function textFormat(start: string): ContainerFormat {
  for (const line of start.split('\n', LINES_SNIFFED)) {
    if (OWN_LINE.test(line)) return 'jsonl';
    const marks = SUDOAGENT_MARKS.filter((mark) => line.includes(mark));
    if (marks.length >= ENOUGH_MARKS || SUDOAGENT_LINE.test(line)) return 'sudoagent-jsonl';
  }
  return 'jsonl';
}

/** The schema stands in the first page, and while that is in the WAL, there. */
function databaseFormat(file: string, start: Buffer): ContainerFormat {
  const isOurs = start.length >= HEADER_BYTES && start.readUInt32BE(APPLICATION_ID_OFFSET) === APPLICATION_ID;
  if (isOurs) return 'sqlite';
  if (isSudoagent(start)) return 'sudoagent-sqlite';
  return existsSync(`${file}-wal`) && isSudoagent(firstBytes(`${file}-wal`, SNIFFED_WAL_BYTES)) ? 'sudoagent-sqlite' : 'sqlite';
}

function isSudoagent(bytes: Buffer): boolean {
  return SUDOAGENT_COLUMNS.every((column) => bytes.includes(column));
}

function firstBytes(file: string, most: number): Buffer {
  let descriptor: number;
  try {
    // Without O_NONBLOCK opening a pipe would wait for whoever laid it there.
    descriptor = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new CountersignError('LEDGER_NOT_FOUND', `there is no ledger at ${file}`, { cause });
    throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${file} (${String(code)})`, { cause });
  }
  try {
    if (!fstatSync(descriptor).isFile())
      throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${file}: it is not a regular file`);
    const bytes = Buffer.alloc(most);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, most, 0));
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause;
    throw new CountersignError('LEDGER_UNREADABLE', `cannot read the ledger ${file}`, { cause });
  } finally {
    closeSync(descriptor);
  }
}
