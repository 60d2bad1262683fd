/**
 * Pins: that each pin entry goes on from the one before, that a tool is first once, and that people accept and take back only
 * what was recorded. What lies beside them is compared with its digests where the rows are judged.
 */

import { overclaim } from '../approval/assurance.ts';
import type { EntryRef, Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { isPinAnswer, type OfferedBody, type PinAnswerBody } from '../ledger/entry.ts';
import { digestOf } from '../pin/declaration.ts';
import { pinStatement } from '../pin/statement.ts';
import { Answerers } from './answerers.ts';
import type { VerifyCode } from './codes.ts';
import type { Found } from './judged.ts';
import { type EntryOf, names, type Placed } from './placed.ts';
import { type Findings, MAX_PROBLEMS } from './report.ts';
import { printable } from './shapes.ts';

type PinEntry = EntryOf<'pin'>;
type Answer = PinEntry & PinAnswerBody;

/** What is known of one tool: where each declaration was last recorded. */
type Recorded = Map<string, { readonly placed: Placed }>;

export class Pins {
  private readonly findings: Findings;
  private readonly suspect: (index: number) => void;
  readonly answerers: Answerers;
  private readonly tools = new Map<string, Recorded>();
  newest: Placed | undefined;

  constructor(findings: Findings, suspect: (index: number) => void, approvers: ReadonlyMap<string, string> | undefined) {
    this.findings = findings;
    this.suspect = suspect;
    this.answerers = new Answerers(approvers);
  }

  /** @param gaps - pin entries may be among what could not be read. */
  take(placed: Placed, entry: PinEntry, gaps: boolean): void {
    this.follow(placed, entry.before, gaps);
    const seen = new Set<string>();
    for (const { name } of entry.pins) {
      if (seen.has(name)) this.problem(placed, 'PIN_REPEATED', `the entry names ${printable(name)} twice`);
      seen.add(name);
    }
    if (isPinAnswer(entry)) this.answered(placed, entry, gaps);
    else this.offered(placed, entry, gaps);
  }

  /** A pin entry from before what is read: it was checked when that was. */
  recalled(placed: Placed, entry: PinEntry): void {
    this.newest = placed;
    if (isPinAnswer(entry)) return;
    for (const { name, digest } of entry.pins) this.of(entry.server, name).set(digest, { placed });
  }

  finish(): void {
    const { unchecked, keyless } = this.answerers;
    if (unchecked > 0) {
      const what = `${unchecked} answers about tools are signed by approver keys that were not given`;
      this.findings.warn(0, 'APPROVER_UNCHECKED', `${what}: their signatures were not checked`);
    }
    if (keyless > 0) {
      const what = `${keyless} answers about tools by approvers who have a key, or under names that imitate theirs`;
      this.findings.warn(0, 'APPROVER_METHOD', `${what}, were given without it`);
    }
  }

  private follow(placed: Placed, before: EntryRef | undefined, gaps: boolean): void {
    const { newest } = this;
    this.newest = placed;
    if (before === undefined ? newest === undefined : newest !== undefined && before.of === newest.index) {
      if (before !== undefined && newest !== undefined && !names(before, newest)) this.mismatch(placed, before.of);
      return;
    }
    if (gaps) return;
    const expected = newest === undefined ? 'there is none before it' : `it is entry ${newest.number}`;
    this.problem(placed, 'PIN_ORDER', `the entry does not go on from the pin entry before it: ${expected}`);
  }

  private offered(placed: Placed, entry: PinEntry & OfferedBody, gaps: boolean): void {
    for (const { name, digest } of entry.pins) {
      const isKnown = this.tools.has(keyOf(entry.server, name));
      if (entry.event === 'first' && isKnown) this.problem(placed, 'PIN_REPEATED', `${printable(name)} was pinned before`);
      if (entry.event === 'changed' && !isKnown && !gaps)
        this.problem(placed, 'PIN_WITHOUT_FIRST', `${printable(name)} is said to have changed, and was never pinned`);
      this.of(entry.server, name).set(digest, { placed });
    }
  }

  private answered(placed: Placed, entry: Answer, gaps: boolean): void {
    for (const { name, digest, entry: ref } of entry.pins) {
      const recorded = this.tools.get(keyOf(entry.server, name))?.get(digest);
      if (recorded === undefined) {
        if (!gaps) this.problem(placed, 'PIN_UNPROVEN', `no entry before this one records that declaration of ${printable(name)}`);
      } else if (!names(ref, recorded.placed)) this.mismatch(placed, ref.of);
    }
    this.checkWho(placed, entry);
  }

  private checkWho(placed: Placed, { before, event, server, pins, approver, signature }: Answer): void {
    const tooMuch = overclaim(approver);
    if (tooMuch !== undefined) this.problem(placed, 'APPROVER_ASSURANCE', tooMuch);
    const flaw = this.answerers.signatureFlaw(approver, signature, () => pinStatement({ before, event, server, pins }, approver.id));
    if (flaw !== undefined) this.problem(placed, 'PIN_SIGNATURE', flaw);
  }

  private of(server: string | undefined, name: string): Recorded {
    const key = keyOf(server, name);
    const known = this.tools.get(key) ?? new Map();
    this.tools.set(key, known);
    return known;
  }

  private mismatch(placed: Placed, of: number): void {
    this.problem(placed, 'REFERENCE_MISMATCH', `the entry it names, entry ${of + 1}, has another hash or place`);
    this.suspect(of);
  }

  private problem(placed: Placed, code: VerifyCode, message: string): void {
    this.findings.problem(placed.number, code, message);
  }
}

function keyOf(server: string | undefined, name: string): string {
  return JSON.stringify([server ?? null, name]);
}

/** The declarations beside a pin entry, proven to be what it commits to, against the digests in it. */
export function judgeDeclarations({ pins }: OfferedBody, declarations: Json): readonly Found[] {
  const wrong = (message: string): Found => ({ sort: 'problem', code: 'PIN_DIGEST', message });
  if (typeof declarations !== 'object' || declarations === null || Array.isArray(declarations))
    return [wrong('the declarations beside the entry are no object')];
  const shown = new Map(Object.entries(declarations as { readonly [name: string]: Json }));
  const found = pins.flatMap(({ name, digest, redacted }) => {
    const declaration = shown.get(name);
    shown.delete(name);
    const isIt = redacted === true ? declaration !== undefined : digestOrNone(declaration) === digest;
    return isIt ? [] : [wrong(`the declaration of ${printable(name)} beside the entry is not the one its digest names`)];
  });
  const more = shown.size === 0 ? [] : [wrong('declarations lie beside the entry that it does not name')];
  return [...found, ...more].slice(0, MAX_PROBLEMS);
}

function digestOrNone(declaration: Json | undefined): string | undefined {
  if (typeof declaration !== 'object' || declaration === null) return undefined;
  try {
    return digestOf(declaration).digest;
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  }
}
