/** What a host is compared with: `ours.example` is that host, `*.ours.example` any below it and not itself. */
import { ConditionFault } from '../../condition-value.ts';
import { type Host, readHost } from './host-text.ts';

export interface HostPattern {
  matches(host: Host): boolean;
}

/** @returns undefined when it is none. */
export function parseHostPattern(text: string): HostPattern | undefined {
  const isBelow = text.startsWith('*.');
  const host = hostOf(isBelow ? text.slice(2) : text);
  if (host === undefined || (isBelow && host.kind === 'address')) return undefined;
  if (!isBelow) return { matches: (other) => other.text === host.text };
  const end = `.${host.text}`;
  return { matches: (other) => other.kind === 'name' && other.text.endsWith(end) };
}

function hostOf(text: string): Host | undefined {
  try {
    return readHost(text);
  } catch (error) {
    if (error instanceof ConditionFault) return undefined;
    throw error;
  }
}
