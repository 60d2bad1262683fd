/**
 * Calls that people's edits made: each stands on one answer before it that denied another call and proposed these arguments,
 * and no answer made two calls.
 */
import type { VerifyCode } from './codes.ts';
import { difference, type EntryOf, names, type Placed } from './placed.ts';
import type { Findings } from './report.ts';

interface Edit {
  readonly placed: Placed;
  /** What asked for the call that was edited. */
  readonly ask: Pick<EntryOf<'decision'>, 'call' | 'agent' | 'session' | 'principal' | 'tool'>;
  /** Hash of the proposed arguments, when they are there. */
  readonly shown: string | undefined;
  /** The call it made. */
  usedBy?: { readonly call: string; readonly number: number };
}

export class Edits {
  private readonly findings: Findings;
  private readonly suspect: (index: number) => void;
  /** By position. Edits are rare: each is kept. */
  private readonly edits = new Map<number, Edit>();

  constructor(findings: Findings, suspect: (index: number) => void) {
    this.findings = findings;
    this.suspect = suspect;
  }

  /** An answer that proposes other arguments. @param shown - hash of them, when they are there. */
  proposed(placed: Placed, entry: EntryOf<'approval'>, ask: Edit['ask'], shown: string | undefined): void {
    if (entry.answer !== 'deny') return this.problem(placed, 'EDIT_MISMATCH', 'the answer proposes other arguments and approves as well');
    const { call, agent, session, principal, tool } = ask;
    const edited = { call, agent, session, ...(principal !== undefined && { principal }), tool };
    this.edits.set(placed.index, { placed, ask: edited, shown });
  }

  /** A decision about a call that says it was made by an edit. @param gaps - the answer may stand where nothing could be read. */
  decided(placed: Placed, entry: EntryOf<'decision'>, shown: string | undefined, gaps: boolean): void {
    const { edited } = entry;
    if (edited === undefined) return;
    const { call, answer } = edited;
    const edit = this.edits.get(answer.of);
    if (edit === undefined) {
      if (!gaps) this.problem(placed, 'EDIT_UNPROVEN', `entry ${answer.of + 1} is no answer before it that proposes other arguments`);
      return;
    }
    if (!names(answer, edit.placed)) {
      this.problem(placed, 'REFERENCE_MISMATCH', `the edit it names, entry ${answer.of + 1}, has another hash or place`);
      this.suspect(answer.of);
      return;
    }
    const field =
      difference(['agent', 'session', 'principal'], entry, edit.ask) ?? difference(['server', 'name', 'schema'], entry.tool, edit.ask.tool);
    if (call !== edit.ask.call || entry.call === call) this.problem(placed, 'EDIT_MISMATCH', 'the call that was edited is another one');
    else if (field !== undefined) this.problem(placed, 'EDIT_MISMATCH', `the call differs in ${field} from the one that was edited`);
    if (shown !== undefined && edit.shown !== undefined && shown !== edit.shown)
      this.problem(placed, 'EDIT_ARGUMENTS', `the arguments shown here are not those proposed in entry ${answer.of + 1}`);
    // Two processes may refuse what comes of one edit; only one call may be asked about and run.
    if (entry.effect === 'deny') return;
    edit.usedBy ??= { call: entry.call, number: placed.number };
    if (edit.usedBy.call !== entry.call)
      this.problem(placed, 'EDIT_REUSED', `the edit of entry ${answer.of + 1} made another call before, in entry ${edit.usedBy.number}`);
  }

  private problem(placed: Placed, code: VerifyCode, message: string): void {
    this.findings.problem(placed.number, code, message);
  }
}
