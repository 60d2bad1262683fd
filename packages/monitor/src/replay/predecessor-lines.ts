/**
 * Lines of the predecessor's `actions_*.jsonl` as activities:
 *
 *     {"timestamp":"…","verdict":"FLAG","reason":"…","evaluator":"rule_engine","confidence":1.0,
 *      "action":{"timestamp":"…","action_type":"file_read","target":"/x","details":{},"source_pid":12}}
 *
 * It kept command lines as one text, blanks between words: what stood in quotes is taken apart here. It knew no start times, no parents
 * and no programs of the processes it saw.
 */
import type { Action, Activity } from '../activity.ts';
import type { LoggedActivity } from '../evidence/activity-line.ts';
import { LEVELS, type Level } from '../verdict.ts';

/** @returns undefined for what it did not write, or what stands for no activity: its rate limit and flag count are verdicts only. */
export function parsePredecessorLine(text: string, seq: number): LoggedActivity | undefined {
  const line = parsed(text);
  const recorded = memberOf(line, 'action');
  const level = LEVELS.find((known) => known === memberOf(line, 'verdict'));
  const at = Date.parse(textOf(recorded, 'timestamp') ?? textOf(line, 'timestamp') ?? '');
  if (level === undefined || !(at >= 0)) return undefined;
  const action = actionOf(recorded);
  if (action === undefined) return undefined;
  const pid = memberOf(recorded, 'source_pid');
  const activity: Activity = {
    seq,
    at,
    sensor: 'suy-sideguy',
    phase: 'after',
    ...(typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 && { actor: { pid, start: 0 } }),
    action,
    attribution: { method: 'none' },
  };
  return { activity, verdict: verdictOf(level, line, seq) };
}

function verdictOf(level: Level, line: unknown, seq: number): LoggedActivity['verdict'] {
  const confidence = memberOf(line, 'confidence');
  return {
    level,
    rule: 'suy-sideguy',
    reason: textOf(line, 'reason') ?? '',
    evaluator: textOf(line, 'evaluator')?.startsWith('llm') === true ? 'judge' : 'rules',
    confidence: typeof confidence === 'number' && confidence >= 0 && confidence <= 1 ? confidence : 1,
    evidence: [seq],
  };
}

function actionOf(recorded: unknown): Action | undefined {
  const target = textOf(recorded, 'target');
  if (target === undefined) return undefined;
  switch (memberOf(recorded, 'action_type')) {
    case 'file_read':
      return { kind: 'read', path: target };
    case 'file_write':
      return { kind: 'write', path: target };
    case 'file_delete':
      return { kind: 'delete', path: target };
    case 'network_out':
      return connectOf(target, memberOf(recorded, 'details'));
    case 'process_exec':
    case 'process_spawn': {
      const argv = target.split(/\s+/).filter((word) => word !== '');
      return argv[0] === undefined ? undefined : { kind: 'exec', exe: argv[0], argv };
    }
    default:
      return undefined;
  }
}

/** `203.0.113.7:443`, with the parts once more in `details`. */
function connectOf(target: string, details: unknown): Action {
  const colon = target.lastIndexOf(':');
  const address = textOf(details, 'remote_ip') ?? (colon < 0 ? target : target.slice(0, colon));
  const port = memberOf(details, 'remote_port') ?? (colon < 0 ? undefined : Number(target.slice(colon + 1)));
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= MAX_PORT;
  // It took whatever stood there for an address, names too.
  return {
    kind: 'connect',
    protocol: 'tcp',
    address,
    ...(/[g-z]/i.test(address) && { host: address.toLowerCase() }),
    ...(isPort && { port }),
  };
}
const MAX_PORT = 65_535;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

function textOf(value: unknown, key: string): string | undefined {
  const text = memberOf(value, key);
  return typeof text === 'string' ? text : undefined;
}
