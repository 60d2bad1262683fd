/**
 * Which kind of ledger a file is, from its first bytes. It decides who reads the file,
 * never whether to believe it: each reader checks everything again.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
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
const HEADER_BYTES = 100;
const APPLICATION_ID_OFFSET = 68;
const SUDOAGENT_COLUMNS = ['entry_json', 'entry_hash', 'prev_entry_hash'];
/** Every entry of the predecessor has it, and no line of ours. */
const SUDOAGENT_MARK = '"schema_version":"2.0"';

/**
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE` (no regular file, or it cannot be read).
 */
export function containerFormat(path: string): ContainerFormat {
  const file = resolve(path);
  const start = firstBytes(file);
  if (start.subarray(0, SQLITE_MAGIC.length).toString('latin1') === SQLITE_MAGIC) return databaseFormat(start);
  const [line = ''] = start.toString('utf8').split('\n', 1);
  return line.includes(SUDOAGENT_MARK) ? 'sudoagent-jsonl' : 'jsonl';
}

function firstBytes(file: string): Buffer {
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
    const bytes = Buffer.alloc(SNIFFED_BYTES);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, SNIFFED_BYTES, 0));
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause;
    throw new CountersignError('LEDGER_UNREADABLE', `cannot read the ledger ${file}`, { cause });
  } finally {
    closeSync(descriptor);
  }
}

/** The schema stands in the first page. Opening the file would leave SQLite's own files beside it. */
function databaseFormat(start: Buffer): ContainerFormat {
  const isOurs = start.length >= HEADER_BYTES && start.readUInt32BE(APPLICATION_ID_OFFSET) === APPLICATION_ID;
  return !isOurs && SUDOAGENT_COLUMNS.every((column) => start.includes(column)) ? 'sudoagent-sqlite' : 'sqlite';
}
