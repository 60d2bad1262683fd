/** From the text of a record to what it says, for each container. */
import { leafHash } from '../ledger/merkle.ts';
import { sudoagentFacts } from './facts-sudoagent.ts';
import type { ContainerFormat } from './format.ts';
import { type RecordFacts, UNREADABLE, withoutAbsent } from './record-facts.ts';
import type { LedgerRecord } from './records.ts';
import { countOf, isShallow, type Members, membersOf, parseMembers, textOf } from './stored-json.ts';

const TOO_DEEP = { malformed: 'nested too deep' };

/** Never throws, whatever the record holds. */
export function factsOf(record: LedgerRecord, container: ContainerFormat): RecordFacts {
  switch (container) {
    case 'sqlite':
    case 'jsonl':
      return entryFacts(record);
    case 'sudoagent-sqlite':
    case 'sudoagent-jsonl':
      return sudoagentFacts(record);
  }
}

function entryFacts({ index, text, opening }: LedgerRecord): RecordFacts {
  const leaf = leafHash(text);
  const shown = new Map(Object.entries(isShallow(opening?.sections) ? (opening?.sections ?? {}) : TOO_DEEP));
  const body = parseMembers(text);
  if (body === undefined) return { index, leaf, kind: UNREADABLE, shown };
  const atMs = countOf(body, 'at');
  const approver = membersOf(body, 'approver');
  const approval = textOf(body, 'approval') ?? textOf(membersOf(body, 'approval'), 'id');
  const belongsTo = countOf(
    membersOf(body, 'decision') ?? membersOf(membersOf(body, 'approval'), 'decision') ?? membersOf(body, 'ask'),
    'of',
  );
  return withoutAbsent({
    index,
    leaf,
    kind: textOf(body, 'kind') ?? UNREADABLE,
    atMs,
    time: atMs === undefined ? undefined : isoTime(atMs),
    agent: textOf(body, 'agent'),
    session: textOf(body, 'session'),
    principal: textOf(body, 'principal'),
    call: textOf(body, 'call'),
    tool: toolOf(membersOf(body, 'tool')),
    mode: textOf(body, 'mode'),
    effect: textOf(body, 'effect'),
    would: textOf(body, 'would'),
    reasonCode: textOf(body, 'reason_code'),
    rule: textOf(body, 'rule') ?? textOf(membersOf(body, 'released'), 'rule'),
    released: releasedOf(membersOf(body, 'released')),
    policy: policyOf(membersOf(body, 'policy')),
    approval,
    grant: textOf(body, 'grant') ?? textOf(membersOf(body, 'grant'), 'id'),
    answer: textOf(body, 'answer'),
    approver: textOf(approver, 'id'),
    decision: belongsTo,
    status: textOf(body, 'status'),
    errorType: textOf(body, 'error_type'),
    durationMs: countOf(body, 'duration_ms'),
    event: textOf(body, 'event'),
    level: textOf(body, 'level'),
    enforced: textOf(body, 'enforced'),
    incident: textOf(body, 'incident'),
    scope: textOf(body, 'scope'),
    count: countOf(body, 'count'),
    left: countOf(body, 'left'),
    refused: countOf(body, 'refused'),
    shown,
    body,
  });
}

function toolOf(tool: Members | undefined): RecordFacts['tool'] {
  const name = textOf(tool, 'name');
  const server = textOf(tool, 'server');
  return name === undefined ? undefined : { ...(server !== undefined && { server }), name };
}

function releasedOf(released: Members | undefined): RecordFacts['released'] {
  const action = textOf(released, 'action');
  return action === undefined
    ? undefined
    : withoutAbsent({ action, would: textOf(released, 'would'), reasonCode: textOf(released, 'reason_code') });
}

function policyOf(policy: Members | undefined): RecordFacts['policy'] {
  if (policy === undefined) return undefined;
  return withoutAbsent({ id: textOf(policy, 'id'), version: textOf(policy, 'version'), hash: textOf(policy, 'hash') });
}

function isoTime(atMs: number): string | undefined {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
