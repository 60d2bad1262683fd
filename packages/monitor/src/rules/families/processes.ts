/** What processes do to each other, and how many there are. */

import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';
import { EventWindow } from '../window.ts';

const SPAWN_WINDOW_MS = 10_000;

export const PROCESSES: RuleFamily = {
  rules: [
    {
      id: 'foreign-memory',
      title: "Another process's memory",
      explanation:
        'Attached to (`ptrace`, `gdb -p`, `strace -p`), read or written (`/proc/N/mem`): a process that does not belong to the watched tree, or of which that is not known.',
      levels: ['HALT', 'KILL'],
    },
    {
      id: 'fork-rate',
      title: 'Processes started very fast',
      explanation:
        '3000 processes started within 10 seconds, or 2000 at one time: more than any build here, and what a fork bomb looks like.',
      levels: ['HALT'],
    },
  ],
  kinds: ['memory', 'read', 'write', 'exec', 'spawn', 'resource'],
  begin({ isMember, scope: { limits } }) {
    const window = limits.spawns === undefined ? undefined : new EventWindow(limits.spawns, SPAWN_WINDOW_MS);
    return {
      judge({ activity: { action, actor }, touches, programs, at, seq, isDouble }, found) {
        const reach = (target: number, how: string): void => {
          if (target === actor?.pid || isMember(target) === true) return;
          found({
            rule: 'foreign-memory',
            level: isMember(target) === false ? 'KILL' : 'HALT',
            reason: `${how} process ${target}, which is not one of those watched`,
          });
        };
        if (action.kind === 'memory' && action.by === undefined) reach(action.target, 'reached into');
        for (const { path, use } of touches) {
          const pid = path.startsWith('/proc/') ? /^\/proc\/(\d{1,10})\/(?:task\/\d+\/)?mem$/.exec(path)?.[1] : undefined;
          if (pid !== undefined) reach(Number(pid), `${use} of the memory of`);
        }
        for (const { name, words } of programs?.all ?? []) {
          const pid = DEBUGGERS.has(name) ? attachedTo(words) : undefined;
          if (pid !== undefined) reach(pid, `${quoted(name)} attaches to`);
        }
        if (action.kind === 'spawn' && !isDouble && window?.add(at, seq) === true)
          found({ rule: 'fork-rate', level: 'HALT', reason: `${limits.spawns} processes started within 10 seconds` });
        if (action.kind === 'resource' && limits.processes !== undefined && action.processes >= limits.processes)
          found({ rule: 'fork-rate', level: 'HALT', reason: `${action.processes} processes at one time` });
      },
      accept: () => window?.clear(),
    };
  },
};

const DEBUGGERS: ReadonlySet<string> = new Set([
  'gdb',
  'lldb',
  'strace',
  'ltrace',
  'gcore',
  'reptyr',
  'bpftrace',
  'perf',
  'dd-trace',
  'frida',
  'py-spy',
  'rbspy',
]);

/** `-p 12`, `-p12`, `--pid=12`, `gcore 12`, `gdb program 12`. */
function attachedTo(words: readonly (string | undefined)[]): number | undefined {
  for (const [index, word] of words.entries()) {
    const joined = /^(?:-p|--pid=|--attach=|--attach-pid=)(\d{1,10})$/.exec(word ?? '')?.[1];
    if (joined !== undefined) return Number(joined);
    if (/^(?:-p|--pid|--attach|--attach-pid)$/.test(word ?? '') && /^\d{1,10}$/.test(words[index + 1] ?? ''))
      return Number(words[index + 1]);
  }
  const last = words.at(-1);
  return words.length > 1 && /^(?:gcore|gdb|reptyr)$/.test(words[0] ?? '') && /^\d{1,10}$/.test(last ?? '') ? Number(last) : undefined;
}
