/**
 * One approval as a Slack message (Block Kit): what an agent wants to do, and while nobody has settled it two buttons.
 *
 * A button carries the id of the approval and nothing else. What is shown is the shown view; whatever comes from outside
 * goes through `slack-text.ts`.
 *
 * @see https://docs.slack.dev/reference/block-kit/blocks
 */
import { type ApprovalRequest, type ApprovalRow, type HaltQuestion, haltQuestion } from '@countersign/core';
import { codeBlock, codeSpan } from './slack-text.ts';

/** How an approval stands. */
export type SlackStanding = Pick<ApprovalRow, 'state' | 'answers' | 'quorum' | 'expiresAtMs' | 'message'>;

export interface SlackMessage {
  /** For notifications, where no blocks are shown. */
  readonly text: string;
  readonly blocks: readonly SlackBlock[];
}

export interface SlackBlock {
  readonly type: string;
  readonly block_id?: string | undefined;
  readonly [member: string]: unknown;
}

export const APPROVE = 'countersign.approve';
export const DENY = 'countersign.deny';
/** After a halt: what waits fails, and the rest goes on. `DENY` ends all of it. */
export const HALT_DENY = 'countersign.halt_deny';
/** The block that says how the approval stands. */
const STANDING = 'countersign.standing';
/** The same of a question after a halt, where the answers are other words. */
const HALT_STANDING = 'countersign.halt_standing';
/** Slack takes 3000 characters in one text, and about 13,000 in all blocks together. */
const MAX_ARGS_CHARS = 2800;
const MAX_EDITED_CHARS = 1800;
const MAX_LABEL_CHARS = 240;
const MAX_REASON_CHARS = 1000;
const MAX_APPROVERS_SHOWN = 5;
/** Of a question after a halt: so many lines, of that length, stay below what one text takes. */
const MAX_HALT_LINE_CHARS = 200;
const HALT_LINES_A_TEXT = 12;

/** @param url - of the approval page, which shows all of it. */
export function slackMessage(request: ApprovalRequest, nowMs: number, url: string | undefined): SlackMessage {
  const args = codeBlock(request.args, MAX_ARGS_CHARS);
  const before = request.edited === undefined ? undefined : codeBlock(request.edited.from, MAX_EDITED_CHARS);
  const whole = url === undefined ? `\`countersign approvals show ${shortId(request)}\`` : `<${url}>`;
  const halt = haltQuestion(request);
  if (halt !== undefined) return haltMessage(request, halt, nowMs, whole);
  const what = `${codeSpan(request.agent, MAX_LABEL_CHARS)} wants to call ${codeSpan(toolName(request), MAX_LABEL_CHARS)}`;
  return {
    text: `Approval needed: ${what}`,
    blocks: [
      section(what),
      section(factLines(request).join('\n')),
      ...(before === undefined ? [] : [section(`A person edited the arguments. Before:\n${before.text}`)]),
      section(args.text),
      ...(args.isCut || before?.isCut === true
        ? [section(`*The arguments are longer than a message can show.* All of them: ${whole}`)]
        : []),
      {
        ...section(standingText({ state: 'pending', answers: [], quorum: 1, expiresAtMs: request.expiresAtMs }, nowMs)),
        block_id: STANDING,
      },
      ...(isBeyondUs(request) ? [section('Approving it takes the key of an approver: `countersign approvals approve`')] : []),
      buttons(request),
      { type: 'context', elements: [mrkdwn(`approval ${codeSpan(request.id, MAX_LABEL_CHARS)} · all of it: ${whole}`)] },
    ],
  };
}

/** Not longer than Slack takes: twenty lines at most, each bounded, in as many texts as they need. */
function haltMessage(request: ApprovalRequest, halt: HaltQuestion, nowMs: number, whole: string): SlackMessage {
  const what = `${codeSpan(request.agent, MAX_LABEL_CHARS)} is stopped, session ${codeSpan(request.session, MAX_LABEL_CHARS)}. May it go on?`;
  const lines = halt.lines.map(([name, text]) => `${name === '' ? '' : `*${name}* `}${codeSpan(text, MAX_HALT_LINE_CHARS)}`);
  const texts = [lines.slice(0, HALT_LINES_A_TEXT), lines.slice(HALT_LINES_A_TEXT)].filter((those) => those.length > 0);
  return {
    text: `The agent is stopped: ${what}`,
    blocks: [
      section(what),
      ...texts.map((those) => section(those.join('\n'))),
      {
        ...section(standingText({ state: 'pending', answers: [], quorum: 1, expiresAtMs: request.expiresAtMs }, nowMs)),
        block_id: HALT_STANDING,
      },
      buttonsBlock([
        button('Resume', APPROVE, request.id, 'primary'),
        button('Deny', HALT_DENY, request.id),
        button('Kill all of it', DENY, request.id, 'danger'),
      ]),
      { type: 'context', elements: [mrkdwn(`approval ${codeSpan(request.id, MAX_LABEL_CHARS)} · all of it: ${whole}`)] },
    ],
  };
}

/**
 * A message that says how its approval stands by now. What it showed stays as it was shown, byte for byte: rows of the store
 * can be edited by whoever can write the file, and the next person approves on the strength of this message.
 *
 * @param blocks - of the message, as `slackMessage` made them or as Slack gives them back.
 * @param nowMs - when it is told.
 */
export function restated(blocks: readonly SlackBlock[], standing: SlackStanding, nowMs: number): SlackMessage {
  const isOpen = standing.state === 'pending';
  const isHalt = blocks.some(({ block_id }) => block_id === HALT_STANDING);
  const text = isHalt ? haltStandingText(standing, nowMs) : standingText(standing, nowMs);
  return {
    text: isHalt ? HALT_TITLES[standing.state] : TITLES[standing.state],
    blocks: blocks
      .filter(({ type }) => isOpen || type !== 'actions')
      .map((block) =>
        block.block_id === STANDING || block.block_id === HALT_STANDING ? { ...section(text), block_id: block.block_id } : block,
      ),
  };
}

const TITLES: Readonly<Record<ApprovalRow['state'], string>> = {
  pending: 'Approval needed',
  approved: 'Approved',
  consumed: 'Approved and used',
  denied: 'Denied',
  expired: 'Expired',
  failed: 'Not asked',
};

const HALT_TITLES: typeof TITLES = {
  ...TITLES,
  pending: 'The agent is stopped',
  approved: 'Resumed',
  consumed: 'Resumed',
  denied: 'Denied, or ended',
};

function factLines({ principal, session, rule, reason }: ApprovalRequest): readonly string[] {
  const facts: readonly (readonly [string, string | undefined, number])[] = [
    ['for', principal, MAX_LABEL_CHARS],
    ['session', session, MAX_LABEL_CHARS],
    ['rule', rule, MAX_LABEL_CHARS],
    ['reason', reason, MAX_REASON_CHARS],
  ];
  return facts.flatMap(([name, value, most]) => (value === undefined ? [] : [`${name} ${codeSpan(value, most)}`]));
}

function standingText({ state, answers, quorum, expiresAtMs, message }: SlackStanding, nowMs: number): string {
  const approved = answers.filter(({ answer }) => answer === 'approve').map(({ approver }) => approver);
  const denied = answers.filter(({ answer }) => answer === 'deny');
  const said = message === undefined ? '' : `\n${codeSpan(message, MAX_REASON_CHARS)}`;
  switch (state) {
    case 'pending':
      return `${approved.length === 0 ? 'Waits' : `*${approved.length} of ${quorum} approvals* by ${names(approved)}; waits`} until ${date(expiresAtMs)}`;
    case 'approved':
      return `*Approved* by ${names(approved)}, ${date(nowMs)}. It may run once until ${date(expiresAtMs)}${said}`;
    case 'consumed':
      return `*Approved* by ${names(approved)}, and used${said}`;
    case 'denied': {
      const isEdit = denied.some(({ edited }) => edited === true);
      return `*Denied* by ${names(denied.map(({ approver }) => approver))}${isEdit ? ', who proposed other arguments' : ''}, ${date(nowMs)}${said}`;
    }
    case 'expired':
      return `*Expired* at ${date(expiresAtMs)}: not enough people answered`;
    case 'failed':
      return '*Not asked*: no channel could put the question to anybody';
  }
}

/** Which of the three it was: an edit is the answer that denies, a denial ends all. */
function haltStandingText(standing: SlackStanding, nowMs: number): string {
  const { state, answers, message } = standing;
  const by = `by ${names(answers.map(({ approver }) => approver))}, ${date(nowMs)}`;
  const said = message === undefined ? '' : `\n${codeSpan(message, MAX_REASON_CHARS)}`;
  if (state === 'approved' || state === 'consumed') return `*Resumed* ${by}: what waited happens${said}`;
  if (state !== 'denied') return standingText(standing, nowMs);
  const isDenied = answers.some(({ edited }) => edited === true);
  return isDenied ? `*Denied* ${by}: what waited fails, the rest goes on${said}` : `*Ended* ${by}: all of it${said}`;
}

function names(approvers: readonly string[]): string {
  const shown = approvers.slice(0, MAX_APPROVERS_SHOWN).map((name) => codeSpan(name, MAX_LABEL_CHARS));
  const more = approvers.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** In the reader's own time zone; in UTC where that is not shown. */
function date(ms: number): string {
  return `<!date^${Math.floor(ms / 1000)}^{date_short_pretty} {time_secs}|${new Date(ms).toISOString()}>`;
}

/** An answer by Slack is worth `medium`. It may still deny. */
function isBeyondUs({ assurance }: ApprovalRequest): boolean {
  return assurance === 'high';
}

function buttons(request: ApprovalRequest): SlackBlock {
  const { id } = request;
  return buttonsBlock([...(isBeyondUs(request) ? [] : [button('Approve', APPROVE, id, 'primary')]), button('Deny', DENY, id, 'danger')]);
}

function buttonsBlock(elements: readonly object[]): SlackBlock {
  return { type: 'actions', block_id: 'countersign', elements };
}

function button(text: string, action: string, value: string, style?: 'primary' | 'danger'): object {
  return {
    type: 'button',
    text: { type: 'plain_text', text, emoji: false },
    action_id: action,
    ...(style !== undefined && { style }),
    value,
  };
}

function section(text: string): SlackBlock {
  return { type: 'section', text: mrkdwn(text) };
}

/** `verbatim`: what looks like a link, a channel or somebody's name stays text. */
function mrkdwn(text: string): object {
  return { type: 'mrkdwn', text, verbatim: true };
}

function toolName({ tool }: ApprovalRequest): string {
  return tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
}

function shortId({ id }: ApprovalRequest): string {
  return /^[0-9a-f]+$/.test(id) ? id.slice(0, 12) : '';
}
