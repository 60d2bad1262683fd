import type { Redactor } from '@countersign/core';
import type { Action } from './activity.ts';

const MAX_ARGS = 32;
/** Redacting is linear; nobody reads more of a name than this. Far more than is shown, so that no half of a secret is. */
const MAX_RAW_CHARS = 16_384;

/** One action as people write it. Not escaped. */
export function actionText(action: Action, redactor: Redactor): string {
  switch (action.kind) {
    case 'read':
    case 'write':
    case 'delete':
    case 'load':
      return `${action.kind} ${action.path}`;
    case 'rename':
      return `rename ${action.path} to ${action.to}`;
    case 'exec':
      return `run ${commandText(action.argv.length === 0 ? [action.exe] : action.argv, redactor)}`;
    case 'connect':
      return `connect to ${action.host ?? action.address ?? 'an unknown address'}${action.port === undefined ? '' : `:${action.port}`}`;
    case 'dns':
      return `look up ${action.name}`;
    case 'spawn':
      return `start process ${action.child.pid}`;
    case 'memory':
      return `reach into process ${action.target}`;
    case 'unreadable':
      return `${action.call}, of which ${action.what} cannot be read`;
    case 'exit':
      return 'exit';
    case 'resource':
      return `use the resources of ${action.processes} process${action.processes === 1 ? '' : 'es'}`;
  }
}

/** Redacted as a list first: a flag and what it stands for are a secret only together. */
function commandText(argv: readonly string[], redactor: Redactor): string {
  const { shown } = redactor.redact(argv.slice(0, MAX_ARGS).map((each) => each.slice(0, MAX_RAW_CHARS)));
  const words = Array.isArray(shown) ? shown.map(String) : [];
  return [...words, ...(argv.length > MAX_ARGS ? ['...'] : [])].join(' ');
}
