/** The two shapes of our JSON lines (docs/formats/jsonl.md), as what differs between them when they are read. */
import { MAX_CANONICAL_CHARS } from '../ledger/canonical.ts';
import { MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import type { SourceFault, SourceRow, StoredCheckpoint } from '../verify/source.ts';
import { type ExportHeader, HEADER_MARK, MAX_HEADER_BYTES, parseExportHeader } from './export-header.ts';
import { parseExportLine } from './export-line.ts';
import type { Line } from './lines.ts';

/** Entry, opening, and what stands around them. */
export const MAX_EXPORT_LINE_BYTES: number = MAX_ENTRY_BYTES + 3 * MAX_CANONICAL_CHARS + 4096;
/** What invalid UTF-8 is read as. */
const REPLACEMENT = '\ufffd';
const BYTE_ORDER_MARK = '\ufeff';

export interface Shape {
  readonly format: string;
  readonly origin: string | undefined;
  /** Lines before the first entry. */
  readonly headerLines: number;
  readonly maxLineBytes: number;
  /** Leaf hashes stand beside the bodies. */
  readonly hasLeaves: boolean;
  /** Entries are appended before a checkpoint covers them. */
  readonly mayLag: boolean;
  readonly checkpoint: StoredCheckpoint | undefined;
  readonly faults: readonly SourceFault[];
  /**
   * @param position - where it stands, if no line before it is missing.
   * @returns the text in words when it is no line of an entry.
   */
  row(line: Line, position: number): SourceRow | string;
}

/** One body per line; the checkpoint lies in a file beside it. */
export function mirrorShape(checkpoint: StoredCheckpoint | undefined, faults: readonly SourceFault[]): Shape {
  return {
    format: 'countersign-mirror-1',
    origin: undefined,
    headerLines: 0,
    maxLineBytes: MAX_ENTRY_BYTES,
    hasLeaves: false,
    mayLag: true,
    checkpoint,
    faults,
    row(line, position) {
      const body = textOf(line, MAX_ENTRY_BYTES);
      if (typeof body !== 'string') return body.problem;
      if (body.startsWith(HEADER_MARK)) return 'the line is the header of an export';
      return { seq: position, body, leaf: undefined, bytes: line.sizeBytes, opening: undefined };
    },
  };
}

/** A header, then one object per entry: one file that stands alone. */
export function exportShape(firstLine: Line): Shape {
  const header = readHeader(firstLine);
  const faults: SourceFault[] = header.problem === undefined ? [] : [header.problem];
  const { parsed } = header;
  return {
    format: 'countersign-export-1',
    origin: parsed?.origin,
    headerLines: header.isThere ? 1 : 0,
    maxLineBytes: MAX_EXPORT_LINE_BYTES,
    hasLeaves: true,
    mayLag: false,
    checkpoint: parsed?.checkpoint === undefined ? undefined : { size: parsed.size, note: parsed.checkpoint },
    faults,
    row(line) {
      const text = textOf(line, MAX_EXPORT_LINE_BYTES);
      if (typeof text !== 'string') return text.problem;
      if (text.startsWith(HEADER_MARK)) return 'a header stands here, after the first line: this may be two exports in one file';
      const parsedLine = parseExportLine(text);
      if (parsedLine === undefined) return 'the line is not {"index","leaf","entry","opening"} as an export writes it';
      const { index, leaf, body, opening } = parsedLine;
      return { seq: index, body, leaf, bytes: line.sizeBytes, opening };
    },
  };
}

function readHeader(line: Line): { readonly isThere: boolean; readonly parsed?: ExportHeader; readonly problem?: SourceFault } {
  const text = textOf(line, MAX_HEADER_BYTES);
  if (typeof text === 'string' && !text.startsWith(HEADER_MARK)) {
    return { isThere: false, problem: { code: 'HEADER_MISSING', message: 'the export has no header, so nothing says what must follow' } };
  }
  const parsed = typeof text === 'string' ? parseExportHeader(text) : text.problem;
  if (typeof parsed !== 'string') return { isThere: true, parsed };
  return { isThere: true, problem: { code: 'HEADER_INVALID', message: `the header of the export cannot be read: ${parsed}` } };
}

/** The text of a line, if it is text that reads the same everywhere. */
function textOf({ content, sizeBytes }: Line, limitBytes: number): string | { readonly problem: string } {
  if (content === undefined || sizeBytes > limitBytes) return { problem: `the line has ${sizeBytes} bytes, ${limitBytes} are the most` };
  if (sizeBytes === 0) return { problem: 'the line is empty' };
  const text = content.toString('utf8');
  if (text.includes(REPLACEMENT) && !Buffer.from(text).equals(content)) return { problem: 'the line is not valid UTF-8' };
  if (text.endsWith('\r')) return { problem: 'the line ends in CR LF: its line ends were converted' };
  if (text.startsWith(BYTE_ORDER_MARK)) return { problem: 'a byte order mark stands before the line' };
  return text;
}
