/** Row by row: hash the body, parse it, see that it has the shape of its kind, and compare what lies beside it. */
import { hash } from 'node:crypto';
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { isAfterHalt } from '../halt/after-halt.ts';
import { canonicalize, parseCanonical } from '../ledger/canonical.ts';
import { type Entry, isPinAnswer, MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { isHash, toHex } from '../ledger/merkle.ts';
import { isName } from '../names.ts';
import type { VerifyCode } from './codes.ts';
import { type Content, type Found, type Judged, NOTHING_FOUND, UNREAD } from './judged.ts';
import { commitsOf, type JudgedOpening, judgeOpening } from './openings.ts';
import { judgeDeclarations } from './pins.ts';
import { readBody } from './plain.ts';
import { readShape } from './shapes.ts';
import type { LedgerSource, SourceRow } from './source.ts';

/** What invalid UTF-8 is read as. */
const REPLACEMENT = '\ufffd';
const NO_HASH = '0'.repeat(64);

type Body = { readonly [key: string]: Json };

export type RowSource = Pick<LedgerSource, 'bytes' | 'stores'>;

/** @param rows - in order of position. Reads nothing but these rows, and bytes of them again where decoding may have hidden something. */
export function judgeRows(rows: readonly SourceRow[], source: RowSource): readonly Judged[] {
  const bodies = rows.map((row) => bodyOf(row, source));
  // Nothing lies beside the bodies that could differ from them.
  if (!source.stores.leaves) return rows.map((row, i) => judgeAlone(row, bodies[i]));
  const allFit = toHex(bodies.map((body) => body?.leaf).join('')) === storedLeaves(rows);
  return rows.map((row, i) => {
    const body = bodies[i];
    if (body === undefined) return unreadable(row);
    if (allFit || toHex(body.leaf) === row.leaf) return judgeBody(row, body);
    // Not what was recorded: what was read of it is not told.
    return { ...stub(row), leaf: body.leaf };
  });
}

type ReadBody = ReturnType<typeof readBody>;

function judgeAlone(row: SourceRow, body: ReadBody | undefined): Judged {
  return body === undefined ? unreadable(row) : judgeBody({ ...row, leaf: toHex(body.leaf) }, body);
}

/** Undefined when there is nothing to hash, or two texts would have one hash. */
function bodyOf({ body, seq }: SourceRow, source: RowSource): ReadBody | undefined {
  if (body === undefined) return undefined;
  // Two different byte sequences read as the same text.
  if (body.includes(REPLACEMENT) && !Buffer.from(body).equals(source.bytes(seq) ?? new Uint8Array())) return undefined;
  return readBody(body);
}

/** One comparison for all: a hash is written in hex several times faster among many. */
function storedLeaves(rows: readonly SourceRow[]): string {
  let hex = '';
  for (const row of rows) hex += row.leaf ?? NO_HASH;
  return hex;
}

function stub({ seq, leaf }: SourceRow): Judged {
  return {
    seq,
    leaf: undefined,
    stored: isHash(leaf) ? leaf : undefined,
    fits: false,
    found: NOTHING_FOUND,
    more: 0,
    content: UNREAD,
    withheld: false,
  };
}

function unreadable(row: SourceRow): Judged {
  const of = (code: VerifyCode, message: string): Judged => ({ ...stub(row), found: [{ sort: 'change', code, message }] });
  if (row.body !== undefined) return of('ENTRY_CHANGED', 'the body was changed: it is not valid UTF-8');
  const tooLarge = `the body has ${row.bytes} bytes, ${MAX_ENTRY_BYTES} are the most`;
  if (row.unreadable !== undefined) return of('ENTRY_UNREADABLE', row.unreadable);
  return of('ENTRY_UNREADABLE', row.bytes > MAX_ENTRY_BYTES ? tooLarge : 'the body is not text');
}

function judgeBody(row: SourceRow, { leaf, plain }: ReadBody): Judged {
  if (plain !== undefined) {
    const { found, more, withheld } = judgeOpening(row, plain.commits);
    const content: Content = { is: 'plain', entry: plain.entry };
    return { seq: row.seq, leaf, stored: row.leaf, fits: true, found, more, content, withheld };
  }
  const body = parseBody(row.body as string);
  if ('code' in body) return { ...stub(row), leaf, fits: true, found: [body] };
  return { ...judgeShape(row, body.value), seq: row.seq, leaf, stored: row.leaf, fits: true };
}

type Shaped = Pick<Judged, 'found' | 'more' | 'content' | 'withheld'>;

function judgeShape(row: SourceRow, body: Body): Shaped {
  const shape = readShape(body);
  switch (shape.kind) {
    case 'malformed':
      return flawed('ENTRY_SHAPE', `the entry does not have the shape of its kind: ${shape.why}`);
    case 'version':
      return flawed('ENTRY_VERSION', `the entry has version ${shape.version}, which this verifier does not know`);
    case 'unchecked': {
      const { stamp, name } = shape;
      const notice = noticed('UNKNOWN_KIND', `entries of kind ${name} are not checked by this version`);
      return withOpening([notice], judgeOpening(row, commitsOf(body)), { is: 'other', stamp });
    }
    case 'forget':
    case 'known': {
      const { unknownFields } = shape;
      const notices: Found[] =
        unknownFields === undefined ? [] : [noticed('UNKNOWN_FIELD', `not checked by this version: ${unknownFields}`)];
      const opening = judgeOpening(row, commitsOf(body));
      if (shape.kind === 'forget') return withOpening(notices, opening, { is: 'forget', entry: shape.entry });
      const { entry } = shape;
      if (entry.kind === 'pin' && !isPinAnswer(entry) && opening.sections['declarations'] !== undefined)
        notices.push(...judgeDeclarations(entry, opening.sections['declarations']));
      const shown = takesPart(entry) ? digestOf(opening.sections['args']) : undefined;
      const incident = incidentOf(entry, opening.sections['args']);
      return withOpening(notices, opening, { is: 'told', entry, shown, ...(incident !== undefined && { incident }) });
    }
  }
}

/** Whether what is shown beside it is compared with what is shown beside another. */
function takesPart(entry: Entry): boolean {
  if (entry.kind === 'approval') return entry.args_commit !== undefined;
  return entry.kind === 'decision' && (entry.effect === 'require_approval' || entry.approval !== undefined || entry.edited !== undefined);
}

/** What a question after a halt is about. Whoever keeps the text keeps it short: a name of an incident is one. */
function incidentOf(entry: Entry, args: Json | undefined): string | undefined {
  if (entry.kind !== 'decision' || !isAfterHalt(entry.tool) || typeof args !== 'object' || args === null || Array.isArray(args))
    return undefined;
  const { incident } = args as { readonly incident?: Json };
  return isName(incident) ? incident : undefined;
}

function withOpening(notices: readonly Found[], { found, more, withheld }: JudgedOpening, content: Content): Shaped {
  return { found: [...notices, ...found], more, content, withheld };
}

function flawed(code: VerifyCode, message: string): Shaped {
  return { found: [problem(code, message)], more: 0, content: UNREAD, withheld: false };
}

function problem(code: VerifyCode, message: string): Found {
  return { sort: 'problem', code, message };
}

function noticed(code: VerifyCode, message: string): Found {
  return { sort: 'notice', code, message };
}

function parseBody(text: string): { readonly value: Body } | Found {
  try {
    const value = parseCanonical(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { value: value as Body };
    return problem('ENTRY_SHAPE', 'the body is not an object');
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    return problem('ENTRY_NOT_CANONICAL', `the body is not canonical: ${error.message}`);
  }
}

/** A hash: the arguments of asks that nobody answers would fill the memory. */
function digestOf(args: Json | undefined): string | undefined {
  return args === undefined ? undefined : hash('sha256', canonicalize(args));
}
