/** Answers a halt: `countersign resume`. The same approval may be answered on every other channel there is. */
import { userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { AFTER_HALT, type Config, DURATION_HINT, type GrantTerms, haltQuestion, type Json, parseDuration } from '@countersign/core';
import { type ApprovalView, type LedgerReader, readLedger } from '@countersign/core/sqlite';
import { answeringGuard } from '../answering-guard.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf, hasConfig } from '../configuration.ts';
import { configuredOrWatching } from '../configured.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';
import { instant } from '../time.ts';
import { approverKey, checkAnswerable, commitAnswer, type Given } from './approvals-answer.ts';

type Wish = 'resume' | 'deny' | 'kill';

const PREFIX_SHAPE = /^[0-9a-f]{6,32}$/;
const MAX_LISTED = 10_000;
const DONE = {
  resume: 'resumed: what waits happens, and its processes go on',
  deny: 'denied: what waits fails, the processes that did something already are ended, the rest goes on',
  kill: 'killed: all of its processes are ended, and nothing that waits happens',
} as const;

export const resume: Command = {
  name: 'resume',
  summary: 'answer a halt: let the stopped processes go on, or end them',
  positionals: [{ name: 'id', required: false }],
  options: [
    { name: 'all', kind: 'switch', about: 'end the halt of every session of this ledger' },
    { name: 'deny', kind: 'switch', about: 'what waits fails (EPERM), what did something is ended, the rest goes on' },
    { name: 'kill', kind: 'switch', about: 'end all of its processes; nothing that waits happens' },
    {
      name: 'override',
      kind: 'text',
      value: 'TIME',
      about: 'let the next halt by this rule go on too, once, within TIME',
    },
    { name: 'reason', kind: 'text', value: 'R', about: 'why; needed with --override' },
    { name: 'key', kind: 'text', value: 'FILE', about: 'your private key; without one you are asked at this terminal' },
    { name: 'as', kind: 'text', value: 'NAME', about: 'your name under `approvers` in the configuration' },
    { name: 'passphrase-file', kind: 'text', value: 'F', about: 'passphrase of the key; asked for on a terminal' },
    { name: 'message', kind: 'text', value: 'M', about: 'a sentence for the record' },
  ],
  notes: [
    'The id is that of the incident, or of its approval: the first 6 digits or more; or the name of a halted session, whose calls are then let through again. Without one, what is halted is listed. An answer is recorded, and used once.',
    'Refused from inside a guarded process tree: an agent does not answer for itself. An override is for this session and this rule, and only ever for a halt; take it back with `countersign approvals revoke`.',
  ],
  example: 'countersign resume 3f9a1c --deny',
  async run(invocation) {
    const { io, output, flags, positionals } = invocation;
    const config = hasConfig(invocation)
      ? configOf(invocation)
      : configuredOrWatching(invocation, io.env, { audit: 'NOTHING IS STOPPED', otherwise: 'rules are the built-in ones' });
    const wish = wishOf(invocation);
    const terms = overrideOf(invocation, wish);
    const [id] = positionals;
    if (id === undefined && !flags.on('all')) return list(config, invocation);
    const reader = readLedger(config.ledger.path);
    let view: ApprovalView | undefined;
    try {
      refuseInsideGuard(io.env, reader.liveWriterPids());
      view = id === undefined ? undefined : haltOf(reader, id);
    } finally {
      reader.close();
    }
    if (view === undefined) return resumeSession(flags.on('all') ? undefined : id, wish, config, invocation);
    // Whoever only ends something needs no look at it; the arguments are needed to say who is meant.
    checkAnswerable(view, wish === 'kill' ? 'deny' : 'approve');
    const rule = member(view, 'rule');
    // Also where a rule had halted it before.
    if (terms !== undefined && objectOf(view.shown)['operator'] === true)
      throw new UsageError("--override is not for an operator's halt", 'what an operator halts next is to stop, too: answer without it');
    const who = await whoAnswers(aboutHalt(view), wish, invocation, config);
    const message = flags.text('message');
    const given: Given = {
      answer: wish === 'kill' ? 'deny' : 'approve',
      ...who,
      ...(message !== undefined && { message }),
      ...(terms !== undefined && rule !== undefined && { terms: { ...terms, when: `args.rule == ${JSON.stringify(rule)}` } }),
      ...(wish === 'deny' && { args: { ...objectOf(view.shown), do: 'deny' } }),
    };
    const { grant } = await commitAnswer(config, view, given);
    output.result({
      incident: member(view, 'incident') ?? null,
      approval: view.id,
      answer: wish,
      approver: who.name,
      override: grant?.id ?? null,
    });
    output.line(DONE[wish]);
    if (grant !== undefined)
      output.line(
        `override: the next halt by ${safe(rule ?? '')} in this session goes on by itself, until ${instant(grant.expiresAtMs)}; take it back: countersign approvals revoke ${grant.id.slice(0, 8)}`,
      );
    return EXIT.OK;
  },
};

function wishOf({ flags }: Invocation): Wish {
  if (flags.on('deny') && flags.on('kill')) throw new UsageError('--deny and --kill do not go together', 'say one of them');
  if (flags.on('kill')) return 'kill';
  return flags.on('deny') ? 'deny' : 'resume';
}

function overrideOf({ flags }: Invocation, wish: Wish): GrantTerms | undefined {
  const [time, reason] = [flags.text('override'), flags.text('reason')];
  if (time === undefined) {
    if (reason !== undefined) throw new UsageError('--reason is about an override', 'say for how long: --override 10m');
    return undefined;
  }
  if (wish !== 'resume') throw new UsageError(`--override does not go with --${wish}`, 'an override lets the next halt go on');
  const ttlMs = parseDuration(time);
  if (ttlMs === undefined) throw new UsageError(`--override ${JSON.stringify(time)} is no time`, DURATION_HINT);
  if (reason === undefined) throw new UsageError('--override needs --reason R', 'whoever reads the ledger should know why');
  return { ttlMs, uses: 1, reason, scope: 'session' };
}

function waiting(reader: LedgerReader): readonly ApprovalView[] {
  // A tool without a server may be called what ours is with it: a call of an agent, and no question of ours.
  const alike = reader.approvals({ state: 'pending', tool: `${AFTER_HALT.server}/${AFTER_HALT.name}`, limit: MAX_LISTED });
  return alike.filter(({ tool }) => tool.server === AFTER_HALT.server && tool.name === AFTER_HALT.name);
}

/** What every channel says of it. */
function aboutHalt(view: ApprovalView): readonly string[] {
  const halt = haltQuestion({ tool: view.tool, args: view.shown ?? null, coverageSince: view.coverageSince });
  return [
    `incident ${safe(member(view, 'incident') ?? view.id)}, session ${safe(view.session)}`,
    ...(halt?.lines ?? []).map(([name, text]) => `  ${name.padEnd(8)} ${safe(text)}`),
  ];
}

async function list(config: Config, { output }: Invocation): Promise<number> {
  const reader = readLedger(config.ledger.path);
  const halts = waiting(reader);
  reader.close();
  const sessions = await withGuard(config, (guard) => guard.halts.list());
  output.result({
    halts: halts.map((view) => ({
      incident: member(view, 'incident') ?? null,
      approval: view.id,
      session: view.session,
      rule: member(view, 'rule') ?? null,
      why: member(view, 'why') ?? null,
      since: member(view, 'since') ?? null,
      question: view.shown === undefined ? null : (haltQuestion({ tool: view.tool, args: view.shown })?.lines ?? null),
      expires_at: view.expiresAtMs,
    })),
    sessions: sessions.map(({ session, incident, reasonCode, atMs }) => ({
      session: session ?? null,
      incident: incident ?? null,
      reason_code: reasonCode ?? null,
      at: atMs,
    })),
  });
  if (halts.length + sessions.length === 0) output.line('nothing is halted');
  for (const view of halts) for (const line of aboutHalt(view)) output.line(line);
  if (halts.length > 0) output.line('answer: countersign resume ID [--deny | --kill]');
  for (const { session, reasonCode = '' } of sessions)
    output.line(`${session === undefined ? '--all' : safe(session)}  calls refused since a halt ${safe(reasonCode)}`);
  return EXIT.OK;
}

/** Lets the calls of a halted session through again. */
async function resumeSession(session: string | undefined, wish: Wish, config: Config, invocation: Invocation): Promise<number> {
  const { flags, output } = invocation;
  if (wish !== 'resume' || flags.on('override'))
    throw new UsageError('a halted session is resumed, or left halted', 'end processes by the id of their incident: countersign resume');
  const choice = session === undefined ? {} : { session };
  const message = flags.text('message');
  await withGuard(config, async (guard) => {
    const draft = await guard.halts.draft(choice);
    const { halt } = draft;
    const about = [
      session === undefined ? 'every session of this ledger is halted' : `session ${safe(session)} is halted`,
      `  since ${instant(halt.atMs)}${halt.reasonCode === undefined ? '' : `, ${safe(halt.reasonCode)}`}${halt.incident === undefined ? '' : `, incident ${safe(halt.incident)}`}`,
    ];
    const { name, signer } = await whoAnswers(about, 'let its calls through again', invocation, config);
    const signature = signer === undefined ? {} : { signature: Buffer.from(signer.sign(draft.statement(name))).toString('base64') };
    const approver = { id: name, method: signer === undefined ? ('terminal' as const) : ('key' as const), ...signature };
    await guard.halts.resume(choice, approver, { halt: halt.entry, ...(message !== undefined && { message }) });
    output.result({ session: session ?? null, answer: wish, approver: name });
  });
  output.line(
    session === undefined
      ? 'resumed: calls of every session are decided again'
      : `resumed: calls of session ${safe(session)} are decided again`,
  );
  const reader = readLedger(config.ledger.path);
  const held = waiting(reader).length;
  reader.close();
  if (held > 0)
    output.line(
      `${held === 1 ? 'a watched agent stays' : `${held} watched agents stay`} stopped until answered for: countersign resume lists what is asked`,
    );
  return EXIT.OK;
}

async function withGuard<T>(config: Config, use: (guard: ReturnType<typeof answeringGuard>) => Promise<T>): Promise<T> {
  const store = openConfigured(config, { create: false, signNow: true });
  try {
    // The guard is not closed: it opened no session that could end.
    return await use(answeringGuard(config, store));
  } finally {
    await store.close();
  }
}

/**
 * The halt of processes that is meant; undefined: it can only be a session. An id that fits no halt is never taken for a session, whose
 * name comes from outside.
 *
 * @throws {UsageError}; {CountersignError} `APPROVAL_NOT_FOUND`
 */
function haltOf(reader: LedgerReader, given: string): ApprovalView | undefined {
  if (!PREFIX_SHAPE.test(given)) return undefined;
  const fitting = waiting(reader).filter((view) => view.id.startsWith(given) || member(view, 'incident')?.startsWith(given) === true);
  const [found, another] = fitting;
  if (another !== undefined) throw new UsageError(`more than one halt has an id that starts with ${given}`, 'give more digits of it');
  // Looked at alone it tells what went on record since.
  return found === undefined ? undefined : (reader.approval(found.id) ?? found);
}

/** A key signs; without one a person at this terminal reads what it is about, and says yes. */
async function whoAnswers(
  about: readonly string[],
  question: string,
  invocation: Invocation,
  config: Config,
): Promise<Pick<Given, 'name' | 'signer'>> {
  const { io, flags, output } = invocation;
  const [key, name] = [flags.text('key'), flags.text('as')];
  if (key !== undefined || name !== undefined) {
    if (name === undefined || key === undefined)
      throw new UsageError('--key and --as go together', 'an answer by key is signed: --key FILE --as NAME');
    return { name, signer: await approverKey(config, name, invocation) };
  }
  if (!io.isTTY.stdin || !io.isTTY.stderr)
    throw new UsageError(
      'without a key a person answers at a terminal, and there is none',
      'add --key FILE --as NAME, or answer on another channel',
    );
  for (const line of about) output.note(line);
  const lines = createInterface({ input: io.stdin, output: io.stderr });
  try {
    const said = await lines.question(`${question}? [y/N] `);
    if (!/^y(es)?$/i.test(said.trim())) throw new UsageError('not answered', 'it stays stopped; run the command again to answer');
  } finally {
    lines.close();
  }
  return { name: `terminal:${userName()}` };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}

function objectOf(shown: Json | undefined): { readonly [name: string]: Json } {
  return typeof shown === 'object' && shown !== null && !Array.isArray(shown) ? (shown as { readonly [name: string]: Json }) : {};
}

function member({ shown }: ApprovalView, name: string): string | undefined {
  const object = objectOf(shown);
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}
