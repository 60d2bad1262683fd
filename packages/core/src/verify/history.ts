/** Reads the entries as a story: what each one claims must follow from those before it. */
import { isAfterHalt } from '../halt/after-halt.ts';
import type { Newest } from '../ledger/entry.ts';
import { Approvals } from './approvals.ts';
import { Budgets } from './budgets.ts';
import { Calls } from './calls.ts';
import { Context } from './context.ts';
import { Grants } from './grants.ts';
import { Halts } from './halts.ts';
import type { ReadCheckpoint } from './heads.ts';
import { Incidents } from './incidents.ts';
import type { Told } from './judged.ts';
import { Labels } from './labels.ts';
import { Pins } from './pins.ts';
import type { EntryOf, Placed } from './placed.ts';
import type { Recall, Recalled } from './recall.ts';
import type { Findings, VerifyCounts } from './report.ts';
import type { Stamp } from './shapes.ts';
import { Waymarks } from './waymarks.ts';

type Counts = { -readonly [Name in keyof VerifyCounts]: number };

export class History {
  readonly counts: Counts = noCounts();
  private readonly approvals: Approvals;
  private readonly grants: Grants;
  private readonly pins: Pins;
  private readonly halts: Halts;
  private readonly incidents: Incidents;
  private readonly waymarks: Waymarks;
  private readonly labels: Labels;
  private readonly context: Context;
  private readonly calls: Calls;
  private readonly budgets: Budgets;
  /** Something before could not be read: what seems to be missing may be there. */
  private gaps: boolean;
  private hasUnread = false;
  private readonly recall: Recall | undefined;

  /**
   * @param suspect - told of positions whose body disagrees with a reference to them.
   * @param recall - finds entries from before the first one that is read.
   */
  constructor(findings: Findings, suspect: (index: number) => void, approvers: ReadonlyMap<string, string> | undefined, recall?: Recall) {
    this.recall = recall;
    this.gaps = recall !== undefined;
    this.approvals = new Approvals(findings, suspect, approvers);
    this.grants = new Grants(findings, suspect, approvers);
    this.pins = new Pins(findings, suspect, approvers);
    this.halts = new Halts(findings, suspect, approvers);
    this.incidents = new Incidents(findings, suspect);
    this.waymarks = new Waymarks(findings, suspect);
    this.labels = new Labels(findings, recall && ((of) => this.recalledEntry(of)));
    this.context = new Context(findings);
    this.calls = new Calls(findings, suspect);
    this.budgets = new Budgets(findings);
    this.remember(recall?.last(), ({ placed, content }) => {
      if (content.is === 'unread') return;
      const { at, writer } = content.is === 'other' ? content.stamp : content.entry;
      this.context.time(placed, at, writer);
    });
  }

  get openDecisions(): number {
    return this.calls.openDecisions;
  }

  /** Answers, grants and accepted declarations by key whose signature nobody could check. */
  get uncheckedAnswers(): number {
    return [this.approvals, this.grants, this.pins, this.halts].reduce((sum, { answerers }) => sum + answerers.unchecked, 0);
  }

  /** Answers under the name of an approver who has a key, or an imitation of it, that the key did not give. */
  get keylessAnswers(): number {
    return [this.approvals, this.pins, this.halts].reduce((sum, { answerers }) => sum + answerers.keyless, 0);
  }

  /** Keys that entries announce, in order. */
  get rotations(): Context['rotations'] {
    return this.context.rotations;
  }

  /** Entries that were signed over later, without a sign of who wrote them. */
  get adopted(): number {
    return this.context.adopted;
  }

  /** An entry that cannot be relied upon; it is reported elsewhere. */
  unread(index: number): void {
    this.gaps = true;
    this.hasUnread = true;
    this.calls.unread(index);
  }

  /** A kind that claims nothing about calls. */
  other(placed: Placed, stamp: Stamp): void {
    this.counts.others++;
    this.waymark(placed, stamp.newest, stamp.writer);
    this.context.time(placed, stamp.at, stamp.writer);
  }

  /**
   * @param shown - hash of the arguments beside an ask, an edit or what leans on one of them, proven to match.
   * @param incident - that the arguments beside a question after a halt name, likewise.
   */
  take(placed: Placed, entry: Told, shown: string | undefined, incident?: string): void {
    const { counts } = this;
    this.waymark(placed, entry.newest, entry.writer);
    this.context.time(placed, entry.at, entry.writer);
    this.labels.take(placed, entry, this.hasUnread);
    switch (entry.kind) {
      case 'decision':
        this.decision(placed, entry, shown);
        if ('tool' in entry) this.incidents.decision(placed, entry, incident);
        return;
      case 'approval':
        counts.approvals++;
        this.recallAsk(entry.ask.of);
        this.incidents.answer(placed, entry);
        if (entry.answer === 'deny') this.grants.denied(placed, entry.approval);
        // The ask was read or recalled.
        return this.approvals.answer(placed, entry, shown, this.hasUnread);
      case 'grant':
        counts.others++;
        if (entry.event === 'granted') {
          this.recallAnswer(entry.approval.answer.of);
          return this.grants.granted(placed, entry, this.approvals.last, this.hasUnread);
        }
        this.recallGrant(entry.entry.of);
        return this.grants.revoked(placed, entry, this.hasUnread);
      case 'outcome':
        counts.outcomes++;
        this.recallDecision(entry.decision.of);
        return this.outcome(placed, entry);
      case 'session':
        if (entry.event === 'start') counts.sessions++;
        this.context.session(entry);
        return this.session(placed, entry);
      case 'verdict':
        counts.others++;
        return this.incidents.verdict(placed, entry);
      case 'containment':
        counts.others++;
        if (entry.verdict !== undefined) this.recallVerdict(entry.verdict.of);
        if (entry.approval !== undefined) this.recallHaltAnswer(entry.approval.decision.of);
        return this.incidents.containment(placed, entry, { hasUnread: this.hasUnread, gaps: this.gaps });
      case 'policy':
        counts.policies++;
        return this.context.policy(placed, entry);
      case 'recovery':
        counts.recoveries++;
        if (entry.event === 'unsigned-tail') return this.unsignedTail(placed, entry);
        for (const { of } of entry.open ?? []) this.recallDecision(of);
        return this.calls.recovery(placed, entry);
      case 'key':
        counts.others++;
        return this.context.announce(placed, entry);
      case 'pin':
        counts.others++;
        if (entry.before !== undefined) this.recallPins(entry.before.of);
        return this.pins.take(placed, entry, this.hasUnread);
      case 'forget':
      case 'note':
        counts.others++;
    }
  }

  /** @param head - the newest checkpoint, when the entries are what it covers. */
  finish(head: Pick<ReadCheckpoint, 'signatures'> | undefined): void {
    this.approvals.finish();
    this.grants.finish();
    this.pins.finish();
    this.halts.finish();
    this.incidents.finish();
    this.calls.finish();
    // Who signs may have been announced before.
    this.context.finish(head?.signatures ?? [], this.recall !== undefined);
  }

  private waymark(placed: Placed, newest: Newest | undefined, writer: string): void {
    if (newest === undefined) return;
    if (newest.halt !== undefined) this.recallHalts(newest.halt.of);
    if (newest.pin !== undefined) this.recallPins(newest.pin.of);
    this.labels.named(newest.labelled, writer);
    const before = { halt: this.halts.newest, pin: this.pins.newest, labelled: this.labels.newest };
    this.waymarks.take(placed, newest, before, this.hasUnread);
  }

  private decision(placed: Placed, entry: Extract<Told, { readonly kind: 'decision' }>, shown: string | undefined): void {
    const { counts, gaps } = this;
    counts.decisions++;
    this.calls.decision(placed, entry);
    this.context.decision(placed, entry, gaps);
    if (entry.edited !== undefined) {
      this.recallAnswer(entry.edited.answer.of);
      this.approvals.edits.decided(placed, entry, shown, this.hasUnread);
    }
    switch (entry.effect) {
      case 'allow':
        counts.allowed++;
        for (const { of } of entry.approval?.answers ?? []) this.recallAnswer(of);
        this.halts.allowed(placed, entry, entry.approval && this.approvals.askedAt(entry.approval.id));
        if (entry.approval !== undefined) {
          // Whatever it leans on was read or recalled.
          this.approvals.use(placed, entry, shown, this.hasUnread);
        } else this.approvals.allow(placed, entry.call);
        if (entry.grant !== undefined) {
          this.recallGrant(entry.grant.entry.of);
          this.grants.use(placed, entry, this.hasUnread);
        }
        // The short way takes those that are right.
        if ('tool' in entry) this.budgets.owners(placed, entry);
        return this.budgets.allow(placed, entry, gaps);
      case 'require_approval':
        counts.asked++;
        return this.approvals.ask(placed, entry, shown);
      case 'deny':
        counts.refused++;
    }
  }

  private session(placed: Placed, entry: EntryOf<'session'>): void {
    if (entry.before !== undefined) this.recallHalts(entry.before.of);
    const incident = this.halts.take(placed, entry, this.hasUnread);
    if (entry.event !== 'resumed' || entry.approval === undefined) return;
    this.recallHaltAnswer(entry.approval.decision.of);
    this.incidents.resumed(placed, entry, incident, this.hasUnread);
  }

  private unsignedTail(placed: Placed, entry: EntryOf<'recovery'>): void {
    if (entry.before !== undefined) this.recallHalts(entry.before.of);
    this.context.unsignedTail(placed, entry);
    this.halts.tail(placed, entry, this.hasUnread);
  }

  private outcome(placed: Placed, entry: Extract<Told, { readonly kind: 'outcome' }>): void {
    const settled = this.calls.outcome(placed, entry);
    if (entry.released !== undefined) this.calls.release(placed, entry.released, entry.labels);
    if (entry.refunds === undefined) return;
    // Without the decision's charges nothing can be compared; what it named is reported where it stands.
    if (settled !== undefined || !this.hasUnread) this.budgets.refund(placed, entry.refunds, settled);
    else this.gaps = true;
  }

  private recallDecision(of: number): void {
    this.remember(this.recall?.once(of), (recalled) => this.recalledDecision(recalled));
  }

  private recalledDecision({ placed, content }: Recalled): void {
    if ((content.is !== 'told' && content.is !== 'plain') || content.entry.kind !== 'decision') return;
    this.calls.recalled(placed, content.entry);
    if (content.is !== 'told' || !('tool' in content.entry) || !isAfterHalt(content.entry.tool)) return;
    if (content.entry.edited !== undefined) this.recallAnswer(content.entry.edited.answer.of);
    this.incidents.decision(placed, content.entry, content.incident);
  }

  private recalledAnswer({ placed, content }: Recalled): void {
    if (content.is !== 'told' || content.entry.kind !== 'approval') return;
    this.recallAsk(content.entry.ask.of);
    this.incidents.answer(placed, content.entry);
    this.approvals.answer(placed, content.entry, content.shown, this.hasUnread);
  }

  /** A decision that allowed a question after a halt, or a person's no to one. */
  private recallHaltAnswer(of: number): void {
    this.remember(this.recall?.once(of), (recalled) => {
      this.recalledDecision(recalled);
      this.recalledAnswer(recalled);
    });
  }

  private recallAsk(of: number): void {
    this.remember(this.recall?.once(of), ({ placed, content }) => {
      if (content.is !== 'told' || content.entry.kind !== 'decision' || content.entry.effect !== 'require_approval') return;
      this.calls.recalled(placed, content.entry);
      this.approvals.ask(placed, content.entry, content.shown);
      this.incidents.decision(placed, content.entry, content.incident);
    });
  }

  private recallAnswer(of: number): void {
    this.remember(this.recall?.once(of), (recalled) => this.recalledAnswer(recalled));
  }

  private recallGrant(of: number): void {
    this.remember(this.recall?.once(of), ({ placed, content }) => {
      if (content.is === 'told' && content.entry.kind === 'grant' && content.entry.event === 'granted')
        this.grants.recalled(placed, content.entry);
    });
  }

  /** What is trusted follows from all pin entries: each names the one before. */
  private recallPins(newest: number): void {
    const found: { readonly placed: Placed; readonly entry: EntryOf<'pin'> }[] = [];
    for (let of: number | undefined = newest; of !== undefined; ) {
      const at: number = of;
      of = undefined;
      this.remember(this.recall?.once(at), ({ placed, content }) => {
        if (content.is !== 'told' || content.entry.kind !== 'pin') return;
        found.push({ placed, entry: content.entry });
        if (content.entry.before !== undefined && content.entry.before.of < at) of = content.entry.before.of;
      });
    }
    for (const { placed, entry } of found.toReversed()) this.pins.recalled(placed, entry);
  }

  /** Which sessions stand still follows from all entries about halts: each names the one before. */
  private recallHalts(newest: number): void {
    const found: { readonly placed: Placed; readonly entry: EntryOf<'session'> | EntryOf<'recovery'> }[] = [];
    for (let of: number | undefined = newest; of !== undefined; ) {
      const at: number = of;
      of = undefined;
      this.remember(this.recall?.once(at), ({ placed, content }) => {
        if (content.is !== 'told' || (content.entry.kind !== 'session' && content.entry.kind !== 'recovery')) return;
        found.push({ placed, entry: content.entry });
        if (content.entry.before !== undefined && content.entry.before.of < at) of = content.entry.before.of;
      });
    }
    for (const { placed, entry } of found.toReversed()) this.halts.recalled(placed, entry);
  }

  private recallVerdict(of: number): void {
    this.remember(this.recall?.once(of), ({ placed, content }) => {
      if (content.is === 'told' && content.entry.kind === 'verdict') this.incidents.recalled(placed, content.entry);
    });
  }

  /** An entry of the index of labels: others may have asked for it, too. */
  private recalledEntry(of: number): Recalled | undefined {
    let found: Recalled | undefined;
    this.remember(this.recall?.at(of), (recalled) => {
      found = recalled;
    });
    return found;
  }

  private remember(recalled: Recalled | undefined, take: (recalled: Recalled) => void): void {
    if (recalled === undefined) return;
    const { placed, content } = recalled;
    if (content.is === 'unread') this.unread(placed.index);
    else take(recalled);
  }
}

export function noCounts(): Counts {
  return {
    decisions: 0,
    allowed: 0,
    refused: 0,
    asked: 0,
    approvals: 0,
    outcomes: 0,
    sessions: 0,
    policies: 0,
    recoveries: 0,
    others: 0,
  };
}
