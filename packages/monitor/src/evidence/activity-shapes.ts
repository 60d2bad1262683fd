/** Whether something is an action, an actor, an attribution. Members that are not known are let through: later versions may have more. */
import type { ActionKind } from '../activity.ts';

type Check = (value: unknown) => boolean;
type Members = Readonly<Record<string, Check>>;

export const isText: Check = (value) => typeof value === 'string';
const isTrue: Check = (value) => value === true;
const isBoolean: Check = (value) => typeof value === 'boolean';
export const isNumber: Check = (value) => typeof value === 'number';
export const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
export const isTextList: Check = (value) => Array.isArray(value) && value.every(isText);

/** An object with all of the first members, and of the second those that it has. */
export function shape(required: Members, optional: Members = {}): Check {
  const must = Object.entries(required);
  const may = Object.entries(optional);
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const members = value as Readonly<Record<string, unknown>>;
    return (
      must.every(([name, check]) => Object.hasOwn(members, name) && check(members[name])) &&
      may.every(([name, check]) => !Object.hasOwn(members, name) || check(members[name]))
    );
  };
}

export const isProcessId: Check = shape({ pid: isCount, start: isNumber });

export const isActor: Check = shape({ pid: isCount, start: isNumber }, { parent: isCount, exe: isText, argv: isTextList, cwd: isText });

export const isAttribution: Check = shape({ method: (value) => ATTRIBUTION_METHODS.has(value) }, { call: isText, candidates: isTextList });

const ATTRIBUTION_METHODS: ReadonlySet<unknown> = new Set(['scope', 'marker', 'tree', 'window', 'none']);
const PROTOCOLS: ReadonlySet<unknown> = new Set(['tcp', 'udp', 'unix']);

const FILE = shape({ path: isText }, { resolved: isText, existed: isBoolean, by: isText });
/** A record by its type: a kind that is added there must be added here. */
const ACTIONS: Readonly<Record<ActionKind, Check>> = {
  read: FILE,
  write: FILE,
  delete: FILE,
  rename: shape({ path: isText, to: isText }, { resolved: isText, resolved_to: isText, existed: isBoolean }),
  exec: shape({ exe: isText, argv: isTextList }, { cwd: isText, cut: isTrue }),
  spawn: shape({ child: isProcessId }),
  exit: shape({}, { code: isNumber, signal: isText }),
  connect: shape({ protocol: (value) => PROTOCOLS.has(value) }, { host: isText, address: isText, port: isCount }),
  dns: shape({ name: isText }, { addresses: isTextList }),
  load: shape({ path: isText }),
  memory: shape({ target: isCount }),
  unreadable: shape({ call: isText, what: isText }),
  resource: shape(
    { processes: isCount },
    { cpu_percent: isNumber, rss_bytes: isNumber, threads: isNumber, fds: isNumber, read_bytes: isNumber, write_bytes: isNumber },
  ),
};
const CHECKS: ReadonlyMap<unknown, Check> = new Map(Object.entries(ACTIONS));

export const isAction: Check = (value) => {
  const kind: unknown = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
  return CHECKS.get(kind)?.(value) === true;
};
