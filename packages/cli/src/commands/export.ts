/**
 * A ledger as text that other tools read.
 *
 * ndjson: a header, then one line per entry; json: the same as one document. `entry` is the stored text itself, so its
 * leaf hash can be computed again after RFC 8785 canonicalisation. Openings hold the clear text of arguments.
 *
 *     {"countersign":"export","version":1,"origin":"example.com/billing","size":1,"checkpoint":"example.com/billing\n1\n..."}
 *     {"index":0,"leaf":"5f1c...","entry":{"agent":...},"opening":{"key":"...","sections":{"args":{...}}}}
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { escapeJson } from '@countersign/core';
import { type LedgerLine, type LedgerReader, readLedger } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { FileExistsError, UsageError } from '../failure.ts';
import { safe } from '../output.ts';

export const EXPORT_VERSION = 1;
/** The file may hold secrets of other people than its reader's. */
const FILE_MODE = 0o600;

type Format = 'ndjson' | 'json';

export const exportLedger: Command = {
  name: 'export',
  summary: 'write a ledger as ndjson or json',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    { name: 'format', kind: 'text', value: 'F', about: 'ndjson (default) or json' },
    { name: 'output', kind: 'text', value: 'FILE', about: 'write to a file, whole or not at all' },
    { name: 'force', kind: 'switch', about: 'replace that file' },
    { name: 'no-openings', kind: 'switch', about: 'leave out the clear text of arguments, reasons and results' },
  ],
  notes: ['Copies what is stored and checks nothing; `size` in the header tells how many entries must follow.'],
  example: 'countersign export --format ndjson --no-openings | jq .entry.reason_code',
  async run(invocation) {
    const { io, output, flags } = invocation;
    const format = formatOf(invocation);
    const target = flags.text('output');
    const reader = readLedger(ledgerPath(invocation));
    try {
      const chunks = exportText(reader, format, !flags.on('no-openings'));
      if (target !== undefined) {
        const file = resolve(io.cwd, target);
        const entries = await writeFile(file, chunks, flags.on('force'));
        output.result({ output: file, format, entries });
        output.line(`${entries} entries written to ${safe(file)}`);
        return EXIT.OK;
      }
      output.raw();
      for (const { text } of chunks) {
        // On a terminal the same JSON, spelled so that it cannot act on it. A reader that leaves ends it quietly.
        if (!(await output.data(output.isTerminal ? escapeJson(text) : text))) break;
      }
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

function formatOf({ flags, output }: Invocation): Format {
  const given = flags.text('format') ?? (output.json && !flags.on('output') ? 'json' : 'ndjson');
  if (given !== 'ndjson' && given !== 'json')
    throw new UsageError(`unknown format ${JSON.stringify(given)}`, 'use --format ndjson or --format json');
  return given;
}

interface Chunk {
  readonly text: string;
  /** Entries up to and with this chunk. */
  readonly entries: number;
}

function* exportText(reader: LedgerReader, format: Format, withOpenings: boolean): Generator<Chunk> {
  const head = reader.head();
  const header = JSON.stringify({
    countersign: 'export',
    version: EXPORT_VERSION,
    origin: reader.origin,
    size: head?.size ?? 0,
    checkpoint: head?.note ?? null,
  });
  yield { text: format === 'ndjson' ? `${header}\n` : `${header.slice(0, -1)},"entries":[`, entries: 0 };
  let entries = 0;
  for (const line of reader.entries()) {
    const before = format === 'ndjson' ? '' : entries === 0 ? '\n' : ',\n';
    entries++;
    yield { text: `${before}${lineText(line, withOpenings)}${format === 'ndjson' ? '\n' : ''}`, entries };
  }
  if (format === 'json') yield { text: '\n]}\n', entries };
}

function lineText({ index, leaf, text, opening }: LedgerLine, withOpenings: boolean): string {
  const stored = isOneLineOfJson(text) ? `"entry":${text}` : `"text":${JSON.stringify(text)}`;
  const clear = withOpenings && opening !== undefined ? `,"opening":${JSON.stringify(opening)}` : '';
  return `{"index":${index},"leaf":${JSON.stringify(leaf)},${stored}${clear}}`;
}

/** A tampered ledger may hold any text; it must not end our line or our document. */
function isOneLineOfJson(text: string): boolean {
  if (/[\r\n]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Under another name first: what stands at the path is always a whole export. */
async function writeFile(path: string, chunks: Iterable<Chunk>, force: boolean): Promise<number> {
  if (!force && existsSync(path)) throw exists(path);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const stream = createWriteStream(temporary, { flags: 'wx', mode: FILE_MODE, flush: true });
  const done = finished(stream);
  // Looked at below, once everything was handed over.
  done.catch(() => {});
  try {
    let entries = 0;
    for (const chunk of chunks) {
      entries = chunk.entries;
      if (!stream.write(chunk.text)) await Promise.race([done, new Promise<void>((resolved) => stream.once('drain', () => resolved()))]);
    }
    stream.end();
    await done;
    if (force) renameSync(temporary, path);
    else linkNew(temporary, path);
    return entries;
  } finally {
    stream.destroy();
    rmSync(temporary, { force: true });
  }
}

/** Fails when something appeared at the path meanwhile, which a rename would replace. */
function linkNew(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw exists(path);
    throw error;
  }
}

function exists(path: string): FileExistsError {
  return new FileExistsError(path, 'choose another --output, or replace it with --force');
}
