/** Halts: that no call was allowed while its session, or every session, was halted, and who let it go on. */

import { overclaim } from '../approval/assurance.ts';
import type { EntryRef } from '../call.ts';
import { isAfterHalt } from '../halt/after-halt.ts';
import { resumeStatement } from '../halt/statement.ts';
import type { ApproverIdentity } from '../ledger/entry.ts';
import { Answerers } from './answerers.ts';
import type { VerifyCode } from './codes.ts';
import type { Told } from './judged.ts';
import { type EntryOf, names, type Placed } from './placed.ts';
import type { Findings } from './report.ts';
import { printable } from './shapes.ts';

type SessionEntry = EntryOf<'session'>;
type Decision = Extract<Told, { readonly kind: 'decision' }>;
/** `by`: whose word a halt of every session is. */
type Standing = { readonly placed: Placed; readonly by: string; readonly incident: string | undefined };
/** `tail`: it tells that others of them stood unsigned. */
type ToldHalt = Standing & { readonly key: string; readonly event: 'halted' | 'resumed' | 'tail' };
/** Of positions, the last one not included. */
type Range = { readonly from: number; readonly to: number };

/** No session has this name: names are not empty. */
const EVERY = '';

export class Halts {
  private readonly findings: Findings;
  private readonly suspect: (index: number) => void;
  readonly answerers: Answerers;
  private readonly standing = new Map<string, Standing>();
  private readonly told: ToldHalt[] = [];
  /** Unsigned tails that hold some of them: what ended a halt there ended nothing for those who wrote on. */
  private readonly doubtful: Range[] = [];
  /** The newest halt or end of one, or entry that tells that one of those stood unsigned. */
  newest: Placed | undefined;

  constructor(findings: Findings, suspect: (index: number) => void, approvers: ReadonlyMap<string, string> | undefined) {
    this.findings = findings;
    this.suspect = suspect;
    this.answerers = new Answerers(approvers);
  }

  /**
   * @param gaps - entries about halts may be among what could not be read.
   * @returns of an entry that ends one: the incident of the halt, where it has one.
   */
  take(placed: Placed, entry: SessionEntry, gaps: boolean): string | undefined {
    const { event } = entry;
    if (event !== 'start' && event !== 'halted' && event !== 'resumed') return undefined;
    this.follow(placed, entry.before, gaps);
    if (event === 'start') return undefined;
    const standing = this.standing.get(keyOf(entry));
    this.add(placed, entry, event);
    if (event === 'halted') return undefined;
    this.checkResume(placed, entry, standing, gaps);
    return standing?.incident;
  }

  /** From before what is read: it was checked when that was. */
  recalled(placed: Placed, entry: SessionEntry | EntryOf<'recovery'>): void {
    if (entry.kind === 'recovery') this.addTail(placed, entry);
    else if (entry.event === 'halted' || entry.event === 'resumed') this.add(placed, entry, entry.event);
  }

  tail(placed: Placed, entry: EntryOf<'recovery'>, gaps: boolean): void {
    this.follow(placed, entry.before, gaps);
    this.addTail(placed, entry);
  }

  /** @param askedAt - where its approval was asked for; undefined where that was not read. */
  allowed(placed: Placed, entry: Decision, askedAt?: number): void {
    const own = this.standing.get(entry.session);
    const all = this.standing.get(EVERY);
    if ((own ?? all) === undefined) return;
    if ('tool' in entry && isAfterHalt(entry.tool)) {
      // Whoever halted everything may ask what is to happen now; others may act on what was answered since.
      if (own === undefined && all?.by === entry.session && isAnswered(entry)) return;
      const halt = Math.max(own?.placed.index ?? 0, all?.placed.index ?? 0);
      if (isAnsweredSince(entry, halt) && (askedAt ?? Infinity) > halt) return;
    }
    const what = own === undefined ? 'every session was halted' : `session ${printable(entry.session)} was halted`;
    this.problem(placed, 'ALLOW_WHILE_HALTED', `${what} when this call was allowed`);
  }

  finish(): void {
    const { unchecked, keyless } = this.answerers;
    if (unchecked > 0) {
      const what = `${unchecked} halts were ended under approver keys that were not given`;
      this.findings.warn(0, 'APPROVER_UNCHECKED', `${what}: their signatures were not checked`);
    }
    if (keyless > 0) {
      const what = `${keyless} halts were ended by approvers who have a key, or under names that imitate theirs`;
      this.findings.warn(0, 'APPROVER_METHOD', `${what}, without it`);
    }
  }

  private add(placed: Placed, entry: SessionEntry, event: ToldHalt['event']): void {
    const told = { placed, key: keyOf(entry), event, by: entry.session, incident: entry.incident };
    this.told.push(told);
    this.newest = placed;
    this.apply(told);
  }

  private addTail(placed: Placed, { from = 0, to = 0 }: EntryOf<'recovery'>): void {
    if (!this.told.some((each) => isIn(each.placed.index, { from, to }))) return;
    this.newest = placed;
    this.told.push({ placed, key: '', event: 'tail', by: '', incident: undefined });
    this.doubtful.push({ from, to });
    this.standing.clear();
    for (const each of this.told) this.apply(each);
  }

  private apply(told: ToldHalt): void {
    if (told.event === 'halted') this.standing.set(told.key, told);
    else if (told.event === 'resumed' && !this.doubtful.some((range) => isIn(told.placed.index, range))) this.standing.delete(told.key);
  }

  private checkResume(placed: Placed, entry: SessionEntry, standing: Standing | undefined, gaps: boolean): void {
    if (entry.approver !== undefined) this.checkWho(placed, entry, entry.approver);
    const { halt } = entry;
    if (standing === undefined) {
      if (!gaps) this.problem(placed, 'RESUME_MISMATCH', 'no halt stood that this entry could end');
    } else if (halt === undefined || halt.of !== standing.placed.index)
      this.problem(placed, 'RESUME_MISMATCH', `the halt that stood is entry ${standing.placed.number}, which this entry does not name`);
    else if (!names(halt, standing.placed)) this.mismatch(placed, halt.of);
  }

  /** Whoever reads from a late entry on must find every halt before it. */
  private follow(placed: Placed, before: EntryRef | undefined, gaps: boolean): void {
    const { newest } = this;
    if (before?.of === newest?.index) {
      if (before !== undefined && newest !== undefined && !names(before, newest)) this.mismatch(placed, before.of);
      return;
    }
    if (gaps) return;
    const expected = newest === undefined ? 'there is none before it' : `it is entry ${newest.number}`;
    this.problem(placed, 'HALT_ORDER', `the entry does not name the newest halt or end of one before it: ${expected}`);
  }

  private checkWho(placed: Placed, { halt, scope, session, signature }: SessionEntry, approver: ApproverIdentity): void {
    const tooMuch = overclaim(approver);
    if (tooMuch !== undefined) this.problem(placed, 'APPROVER_ASSURANCE', tooMuch);
    const flaw = this.answerers.signatureFlaw(approver, signature, () => halt && resumeStatement({ halt, scope, session }, approver.id));
    if (flaw !== undefined) this.problem(placed, 'RESUME_SIGNATURE', flaw);
  }

  private mismatch(placed: Placed, of: number): void {
    this.problem(placed, 'REFERENCE_MISMATCH', `the entry it names, entry ${of + 1}, has another hash or place`);
    this.suspect(of);
  }

  private problem(placed: Placed, code: VerifyCode, message: string): void {
    this.findings.problem(placed.number, code, message);
  }
}

function keyOf({ scope, session }: SessionEntry): string {
  return scope === 'ledger' ? EVERY : session;
}

function isAnswered({ approval, grant }: Decision): boolean {
  return approval !== undefined || grant !== undefined;
}

function isAnsweredSince({ approval, edited }: Decision, halt: number): boolean {
  const answers = approval?.answers ?? (edited === undefined ? [] : [edited.answer]);
  return answers.length > 0 && answers.every(({ of }) => of > halt);
}

function isIn(index: number, { from, to }: Range): boolean {
  return index >= from && index < to;
}
