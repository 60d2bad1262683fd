/**
 * One approval as a Slack message (Block Kit): what an agent wants to do, and while nobody has settled it two buttons.
 *
 * A button carries the id of the approval and nothing else. What is shown is the shown view; whatever comes from outside
 * goes through `slack-text.ts`.
 *
 * @see https://docs.slack.dev/reference/block-kit/blocks
 */
import type { ApprovalRequest, ApprovalRow, Json } from '@countersign/core';
import { codeBlock, codeSpan } from './slack-text.ts';

/** What the message tells, from a request or from a row. */
export interface SlackView {
  readonly id: string;
  readonly agent: string;
  readonly principal?: string;
  readonly session: string;
  readonly tool: { readonly server?: string; readonly name: string };
  /** Absent once forgotten. */
  readonly args?: Json;
  readonly editedFrom?: Json;
  readonly reason?: string;
  readonly rule?: string;
  readonly expiresAtMs: number;
  readonly state: ApprovalRow['state'];
  readonly answers: ApprovalRow['answers'];
  readonly quorum?: number;
  /** Of the approver who answered last. */
  readonly message?: string;
}

export interface SlackMessage {
  /** For notifications, where no blocks are shown. */
  readonly text: string;
  readonly blocks: readonly object[];
}

export const APPROVE = 'countersign.approve';
export const DENY = 'countersign.deny';
/** Slack takes 3000 characters in one text, and about 13,000 in all blocks together. */
const MAX_ARGS_CHARS = 2800;
const MAX_EDITED_CHARS = 1800;
const MAX_LABEL_CHARS = 240;
const MAX_REASON_CHARS = 1000;
const MAX_APPROVERS_SHOWN = 5;

export function viewOfRequest(request: ApprovalRequest): SlackView {
  const { id, agent, principal, session, tool, args, edited, reason, rule, expiresAtMs } = request;
  return {
    id,
    agent,
    ...(principal !== undefined && { principal }),
    session,
    tool,
    args,
    ...(edited !== undefined && { editedFrom: edited.from }),
    ...(reason !== undefined && { reason }),
    ...(rule !== undefined && { rule }),
    expiresAtMs,
    state: 'pending',
    answers: [],
  };
}

export function viewOfRow(row: ApprovalRow): SlackView {
  const { id, agent, principal, session, tool, shown, edited, reason, rule, expiresAtMs, state, answers, quorum, message } = row;
  return {
    id,
    agent,
    ...(principal !== undefined && { principal }),
    session,
    tool,
    ...(shown !== undefined && { args: shown }),
    ...(edited?.from !== undefined && { editedFrom: edited.from }),
    ...(reason !== undefined && { reason }),
    ...(rule !== undefined && { rule }),
    expiresAtMs,
    state,
    answers,
    quorum,
    ...(message !== undefined && { message }),
  };
}

/** @param nowMs - when it is told. @param url - of the approval page, which shows all of it. */
export function slackMessage(view: SlackView, nowMs: number, url: string | undefined): SlackMessage {
  const title = `${titleOf(view)}: ${codeSpan(view.agent, MAX_LABEL_CHARS)} wants to call ${codeSpan(toolName(view), MAX_LABEL_CHARS)}`;
  const args = codeBlock(view.args ?? null, MAX_ARGS_CHARS);
  const before = view.editedFrom === undefined ? undefined : codeBlock(view.editedFrom, MAX_EDITED_CHARS);
  const isCut = args.isCut || before?.isCut === true;
  const whole = url === undefined ? `\`countersign approvals show ${shortId(view)}\`` : `<${url}>`;
  return {
    text: title,
    blocks: [
      section(title),
      section(factLines(view).join('\n')),
      ...(before === undefined ? [] : [section(`A person edited the arguments. Before:\n${before.text}`)]),
      section(view.args === undefined ? 'The arguments were forgotten.' : args.text),
      ...(isCut ? [section(`*The arguments are longer than a message can show.* All of them: ${whole}`)] : []),
      section(statusText(view, nowMs)),
      ...(view.state === 'pending' ? [buttons(view)] : []),
      { type: 'context', elements: [mrkdwn(`approval ${codeSpan(view.id, MAX_LABEL_CHARS)} · ${whole}`)] },
    ],
  };
}

function titleOf({ state }: SlackView): string {
  switch (state) {
    case 'pending':
      return 'Approval needed';
    case 'approved':
      return 'Approved';
    case 'consumed':
      return 'Approved and used';
    case 'denied':
      return 'Denied';
    case 'expired':
      return 'Expired';
    case 'failed':
      return 'Not asked';
  }
}

function factLines({ principal, session, rule, reason }: SlackView): readonly string[] {
  const facts: readonly (readonly [string, string | undefined, number])[] = [
    ['for', principal, MAX_LABEL_CHARS],
    ['session', session, MAX_LABEL_CHARS],
    ['rule', rule, MAX_LABEL_CHARS],
    ['reason', reason, MAX_REASON_CHARS],
  ];
  return facts.flatMap(([name, value, most]) => (value === undefined ? [] : [`${name} ${codeSpan(value, most)}`]));
}

function statusText(view: SlackView, nowMs: number): string {
  const { state, answers, quorum = 1, expiresAtMs, message } = view;
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

function names(approvers: readonly string[]): string {
  const shown = approvers.slice(0, MAX_APPROVERS_SHOWN).map((name) => codeSpan(name, MAX_LABEL_CHARS));
  const more = approvers.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** In the reader's own time zone; in UTC where that is not shown. */
function date(ms: number): string {
  return `<!date^${Math.floor(ms / 1000)}^{date_short_pretty} {time_secs}|${new Date(ms).toISOString()}>`;
}

function buttons({ id }: SlackView): object {
  const button = (text: string, action: string, style: string): object => ({
    type: 'button',
    text: { type: 'plain_text', text, emoji: false },
    action_id: action,
    style,
    value: id,
  });
  return { type: 'actions', block_id: 'countersign', elements: [button('Approve', APPROVE, 'primary'), button('Deny', DENY, 'danger')] };
}

function section(text: string): object {
  return { type: 'section', text: mrkdwn(text) };
}

/** `verbatim`: what looks like a link, a channel or somebody's name stays text. */
function mrkdwn(text: string): object {
  return { type: 'mrkdwn', text, verbatim: true };
}

function toolName({ tool }: SlackView): string {
  return tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
}

function shortId({ id }: SlackView): string {
  return /^[0-9a-f]+$/.test(id) ? id.slice(0, 12) : '';
}
