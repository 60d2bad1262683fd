/** A person trusts what a server declares, or trusts it no more: the one way in for hosts and commands. */
import { identifyByStatement } from '../approval/answers.ts';
import type { EntryRef } from '../call.ts';
import type { Engine } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import type { Approver } from '../interfaces.ts';
import type { PinAnswerBody } from '../ledger/entry.ts';
import { isRecordable, requireRecordable } from '../names.ts';
import { currentCall } from '../scope.ts';
import { pinStatement } from './statement.ts';

/** How often an answer is tried again because something else was recorded meanwhile. */
const MAX_ROUNDS = 5;

/** Which declarations an answer is about; at most 1000 of one server. */
export interface PinChoice {
  readonly server?: string;
  readonly tools: readonly { readonly name: string; readonly digest: string }[];
}

/** What an approver signs, and where in the ledger it is good. */
export interface PinDraft {
  readonly before: EntryRef;
  /** The bytes to sign. */
  statement(approver: string): Uint8Array;
}

type AnswerEngine = Pick<Engine, 'agent' | 'store' | 'redactor' | 'commit' | 'keys'>;
type Event = PinAnswerBody['event'];

/** @throws {CountersignError} `PIN_NOT_FOUND`, `LEDGER_*` */
export async function draftPins(event: Event, { server, tools }: PinChoice, engine: AnswerEngine): Promise<PinDraft> {
  const before = await newestPin(engine);
  return { before, statement: (approver) => pinStatement({ before, event, server, pins: tools }, approver) };
}

/**
 * @param before - for method `key`: of the draft that was signed.
 * @throws {CountersignError} `PIN_NOT_FOUND`, `PIN_MOVED`, `APPROVER_REFUSED`, `LEDGER_*`
 */
export async function answerPins(
  event: Event,
  choice: PinChoice,
  approver: Approver,
  engine: AnswerEngine,
  before?: EntryRef,
): Promise<EntryRef> {
  if (currentCall() !== undefined) throw new CountersignError('APPROVER_REFUSED', 'nothing can be trusted from inside a guarded call');
  requireRecordable(approver.id, engine.redactor);
  for (let round = 1; ; round++) {
    const place = before ?? (await newestPin(engine));
    const answered = await answerAt(place, event, choice, approver, engine);
    if (answered !== 'moved') return answered;
    if (before !== undefined || round >= MAX_ROUNDS)
      throw new CountersignError('PIN_MOVED', 'other tools were pinned or answered about meanwhile: try again');
  }
}

async function answerAt(
  before: EntryRef,
  event: Event,
  { server, tools }: PinChoice,
  approver: Approver,
  engine: AnswerEngine,
): Promise<EntryRef | 'moved'> {
  const pins = tools.map(({ name, digest }) => ({ name, digest }));
  const who = identifyByStatement(approver, (name) => pinStatement({ before, event, server, pins }, name), engine.keys);
  if ('refused' in who) throw new CountersignError('APPROVER_REFUSED', who.refused);
  // Whoever drives the client is asked by it, and may be no person.
  if (who.identity.assurance === 'low') throw new CountersignError('APPROVER_REFUSED', 'trust in a tool takes more than a low assurance');
  const committed = await engine.commit({
    kind: 'pin-answer',
    event,
    agent: engine.agent,
    ...(server !== undefined && { server }),
    pins,
    before,
    approver: who.identity,
    ...(approver.method === 'key' && approver.signature !== undefined && { signature: approver.signature }),
  });
  const entry = committed.kind === 'pinned' ? committed.entries[0] : undefined;
  if (entry !== undefined) return entry;
  if (committed.kind === 'not-pinned') {
    const { why, name = '' } = committed;
    if (why === 'moved') return 'moved';
    const tool = isRecordable(name, engine.redactor) ? `${server === undefined ? '' : `${server}/`}${name}` : '(malformed)';
    if (why === 'not-found') throw new CountersignError('PIN_NOT_FOUND', `${tool} is not pinned`);
    if (why === 'changed')
      throw new CountersignError(
        'PIN_MOVED',
        `that declaration of ${tool} is neither what is trusted nor what was offered last: look again`,
      );
    throw new CountersignError('OPTIONS_INVALID', 'name 1 to 1000 tools, each once');
  }
  throw new CountersignError('LEDGER_WRITE_FAILED', `the store answered with ${committed.kind}`);
}

async function newestPin({ store }: AnswerEngine): Promise<EntryRef> {
  const { newest } = await store.pins();
  if (newest === undefined) throw new CountersignError('PIN_NOT_FOUND', 'no tool is pinned in this ledger');
  return newest;
}
