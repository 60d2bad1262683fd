import type { ApprovalEvent, ApprovalFilter } from '@countersign/core';
import { escapeJson, haltQuestion } from '@countersign/core';
import { type ApprovalView, followApprovals } from '@countersign/core/sqlite';
import { approvalJson, toolName } from '../approval-lookup.ts';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { type Output, safe } from '../output.ts';
import { fit } from '../table.ts';
import { span } from '../time.ts';
import { APPROVAL_FILTER_OPTIONS, approvalFilterOf } from './approvals-list.ts';

const ID_CHARS = 8;
const BELL = '\u0007';
const STOPS = ['SIGINT', 'SIGTERM'] as const;

type Event = ApprovalEvent<ApprovalView>;

export const approvalsWatch: Command = {
  name: 'approvals watch',
  summary: 'show what waits, then every ask and answer as it comes',
  positionals: [],
  options: [...APPROVAL_FILTER_OPTIONS, { name: 'bell', kind: 'switch', about: 'ring the terminal when a call starts to wait' }],
  notes: [
    'Ends at Ctrl-C. With --json one JSON document per line: `event` is asked, answered or settled, `approval` as in `approvals show`.',
    'It is woken by the file system, so it costs next to nothing while nothing happens.',
  ],
  example: 'countersign approvals watch --bell',
  async run({ io, output, flags }) {
    const filter = approvalFilterOf(flags);
    const { ledger } = configOf({ io, flags });
    const stop = new AbortController();
    const end = (): void => stop.abort();
    for (const signal of STOPS) process.once(signal, end);
    try {
      const onError = (error: Error): void => output.note(safe(error.message));
      for await (const event of followApprovals(ledger.path, { signal: stop.signal, onError })) {
        if (!isMeant(event, filter)) continue;
        // Nobody reads any more: the other end of the pipe is gone.
        if (!(await output.data(lineOf(event, output, flags.on('bell'))))) break;
      }
      return EXIT.OK;
    } finally {
      for (const signal of STOPS) process.off(signal, end);
    }
  },
};

function isMeant({ approval }: Event, { agent, session, tool }: ApprovalFilter): boolean {
  return (
    (agent === undefined || approval.agent === agent) &&
    (session === undefined || approval.session === session) &&
    (tool === undefined || approval.tool.name === tool || toolName(approval) === tool)
  );
}

function lineOf(event: Event, output: Output, rings: boolean): string {
  if (output.json) return `${escapeJson(JSON.stringify(eventJson(event)))}\n`;
  const line = `${new Date().toISOString().slice(11, 19)}  ${textOf(event)}`;
  const bell = rings && output.isTerminal && event.kind === 'asked' ? BELL : '';
  return `${bell}${output.isTerminal ? fit(line, output.columns) : line}\n`;
}

function eventJson(event: Event): Record<string, unknown> {
  const answer = event.kind === 'answered' ? { answer: { approver: event.answer.approver, answer: event.answer.answer } } : {};
  return { event: event.kind, ...answer, approval: approvalJson(event.approval) };
}

/** Of a halt: at which level it is watched, told before what a narrow terminal cuts. */
function levelText({ tool, shown }: ApprovalView): string {
  const watched = shown === undefined ? undefined : haltQuestion({ tool, args: shown })?.watched;
  return watched === undefined ? '' : ` at ${safe(watched)}`;
}

/** The id first and whole words last: on a narrow terminal the end is cut. */
function textOf(event: Event): string {
  const { approval } = event;
  const what = `${safe(approval.id).slice(0, ID_CHARS)}  ${safe(toolName(approval))}${levelText(approval)} for ${safe(approval.agent)}`;
  const doubt = approval.mismatches.length > 0 ? ' ! differs from the ledger' : '';
  switch (event.kind) {
    case 'asked':
      return `asked     ${what}, expires in ${span(approval.expiresAtMs - Date.now())}${doubt}`;
    case 'answered':
      return `${event.answer.answer === 'approve' ? 'approve' : 'deny'.padEnd(7)}   ${what}, by ${safe(String(event.answer.approver))}${doubt}`;
    case 'settled':
      return `${safe(approval.state).padEnd(8)}  ${what}${doubt}`;
  }
}
