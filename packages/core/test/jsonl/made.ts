/** The scenario's ledger as JSON lines of both shapes, written by the tests themselves. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { leafHash } from '../../src/ledger/merkle.ts';
import { ORIGIN, tempDirectory } from '../fixtures/ledger.ts';

export interface Parts {
  readonly bodies: readonly string[];
  readonly openings: ReadonlyMap<number, { readonly key: string; readonly sections: string }>;
  readonly note: string;
}

export function partsOf(path: string): Parts {
  const database = new Sqlite(path, { readonly: true });
  const bodies = database.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all();
  const rows = database.prepare<[], { seq: number; key: string; sections: string }>('SELECT seq, key, sections FROM openings').all();
  const note = database.prepare<[], string>('SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1').pluck().get() ?? '';
  database.close();
  return { bodies, openings: new Map(rows.map(({ seq, key, sections }) => [seq, { key, sections }])), note };
}

/** @param checkpoint - null leaves it out. */
export function mirror(content: string | Buffer, checkpoint: string | Buffer | null): string {
  const file = join(tempDirectory(), 'mirror.jsonl');
  writeFileSync(file, content);
  if (checkpoint !== null) writeFileSync(`${file}.checkpoint`, checkpoint);
  return file;
}

export function linesOf(bodies: readonly string[]): string {
  return bodies.map((body) => `${body}\n`).join('');
}

export function headerOf({ bodies, note }: Parts, origin: string = ORIGIN): string {
  return JSON.stringify({ countersign: 'export', version: 1, origin, size: bodies.length, checkpoint: note });
}

export function exportLines({ bodies, openings }: Parts, withOpenings = true): string[] {
  return bodies.map((body, index) => {
    const opening = withOpenings ? openings.get(index) : undefined;
    const clear = opening === undefined ? '' : `,"opening":{"key":"${opening.key}","sections":${opening.sections}}`;
    return `{"index":${index},"leaf":"${leafHash(body)}","entry":${body}${clear}}`;
  });
}

export function exported(lines: readonly string[], end = '\n'): string {
  return file(`${lines.join('\n')}${end}`);
}

export function file(content: string | Buffer): string {
  const path = join(tempDirectory(), 'export.ndjson');
  writeFileSync(path, content);
  return path;
}
