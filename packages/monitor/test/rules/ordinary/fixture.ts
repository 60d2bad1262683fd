/** A recorded build, small enough to commit; and made into activities again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Action, Activity } from '../../../src/activity.ts';

export interface Compact {
  /** File and arguments of what runs. */
  programs: string[][];
  /** Milliseconds since the first, pid, kind, index of the program, parent, and what the kind needs. */
  events: [
    number,
    number,
    'read' | 'write' | 'delete' | 'rename' | 'exec' | 'spawn' | 'connect' | 'unix',
    number,
    number,
    ...(readonly string[]),
  ][];
}

export const RECORDED_AT = 1_764_000_000_000;

export function readFixture(name: string): Compact {
  return JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8')) as Compact;
}

export function activitiesOf({ programs, events }: Compact): readonly Activity[] {
  return events.map(([after, pid, kind, program, parent, ...rest], index) => {
    const [exe = '', ...argv] = programs[program] ?? [];
    return {
      seq: index + 1,
      at: RECORDED_AT + after,
      sensor: 'recorded',
      phase: 'after',
      actor: { pid, start: 1, parent, exe, argv },
      action: actionOf(kind, exe, argv, rest),
      attribution: { method: 'none' },
    };
  });
}

function actionOf(
  kind: Compact['events'][number][2],
  exe: string,
  argv: readonly string[],
  [first = '', second = '']: readonly string[],
): Action {
  switch (kind) {
    case 'exec':
      return { kind, exe, argv };
    case 'spawn':
      return { kind, child: { pid: Number(first), start: 1 } };
    case 'connect':
      return { kind, protocol: 'tcp', address: first, port: Number(second) };
    case 'unix':
      return { kind: 'connect', protocol: 'unix', address: first };
    case 'rename':
      return { kind, path: first, to: second };
    case 'read':
    case 'write':
    case 'delete':
      return { kind, path: first };
    default:
      return kind satisfies never;
  }
}
