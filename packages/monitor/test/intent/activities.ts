/** Activities as sensors give them, for tests of what judges them. */
import type { Action, Activity } from '../../src/activity.ts';

export function activity(action: Action, seq = 1, more: Partial<Activity> = {}): Activity {
  return {
    at: 1_767_323_045_000 + seq,
    seq,
    sensor: 'test',
    phase: 'after',
    actor: { pid: 100, start: 1 },
    attribution: { method: 'none' },
    action,
    ...more,
  };
}

export const read = (path: string): Action => ({ kind: 'read', path });
export const write = (path: string): Action => ({ kind: 'write', path });
export const erase = (path: string, existed?: boolean): Action => ({ kind: 'delete', path, ...(existed !== undefined && { existed }) });
export const exec = (...argv: readonly string[]): Action => ({
  kind: 'exec',
  exe: `/usr/bin/${(argv[0] ?? '').replace(/^.*\//, '')}`,
  argv,
});
export const connect = (address: string, port = 443): Action => ({ kind: 'connect', protocol: 'tcp', address, port });
