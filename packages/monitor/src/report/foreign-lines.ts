/** JSON lines of other programs: canary logs, and what the predecessor wrote. Anything may stand in them. */
import { openFile, readLines } from '@countersign/core';

const MAX_FOREIGN_LINE_BYTES = 1_048_576;
const ZONE = /(?:Z|[+-]\d{2}:?\d{2})$/;

export type ForeignRow = Readonly<Record<string, unknown>>;

/** Rows in order; `undefined` for a line that is no JSON object. Nothing when there is no such file. */
export function* foreignRows(path: string): Generator<ForeignRow | undefined> {
  let file: ReturnType<typeof openFile>;
  try {
    file = openFile(path);
  } catch {
    return;
  }
  try {
    for (const { content } of readLines(file, 0, MAX_FOREIGN_LINE_BYTES)) {
      const text = content?.toString('utf8').trim();
      if (text !== '') yield rowOf(text);
    }
  } catch {
    yield undefined;
  } finally {
    file.close();
  }
}

/** One JSON document of another program; undefined when it is none, or larger than any we keep. */
export function foreignDocument(path: string, maxBytes: number): ForeignRow | undefined {
  try {
    const file = openFile(path);
    try {
      if (file.sizeBytes > maxBytes) return undefined;
      const bytes = Buffer.alloc(file.sizeBytes);
      return rowOf(bytes.toString('utf8', 0, file.read(bytes, 0)));
    } finally {
      file.close();
    }
  } catch {
    return undefined;
  }
}

/** ISO 8601; without a zone it is UTC, which is what the programs write. */
export function timeOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || value.length > 64) return undefined;
  const at = Date.parse(ZONE.test(value) || !value.includes('T') ? value : `${value}Z`);
  return Number.isNaN(at) ? undefined : at;
}

export function textOf(row: ForeignRow | undefined, name: string): string | undefined {
  const value = memberOf(row, name);
  return typeof value === 'string' ? value : undefined;
}

export function memberOf(row: ForeignRow | undefined, name: string): unknown {
  return row !== undefined && Object.hasOwn(row, name) ? row[name] : undefined;
}

export function rowIn(row: ForeignRow | undefined, name: string): ForeignRow | undefined {
  const value = memberOf(row, name);
  return isRow(value) ? value : undefined;
}

function rowOf(text: string | undefined): ForeignRow | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isRow(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRow(value: unknown): value is ForeignRow {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
