/**
 * The client that runs this hook. Its hooks are gone while its tools run, so what its tools start is known by the client alone.
 *
 * It seldom is the parent: the installed command is a line for a shell (`... || exit 2`), and may go through npx or a script.
 * Those end with the hook. The client is the nearest ancestor that is neither a shell which runs something nor names the hook in
 * its own command line. A shell that waits for a person's next line counts as one: that is somebody who tries the hook by hand.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { ancestors, psOf } from '../guarded-tree.ts';

const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'fish', 'busybox', 'cmd.exe']);
/** Options of a shell whose file it reads before it asks for a line, as terminals inside of editors give. */
const START_FILES: ReadonlySet<string> = new Set(['--rcfile', '--init-file']);
/** Process 1 starts everything: whatever it is, what it starts is not one client's. */
const INIT = 1;

/** Undefined when it cannot be told, or is gone already. */
export function clientProcess(): number | undefined {
  return clientAmong(ancestors(process.pid), wordsOf);
}

/** @param parents - nearest first. @param words - of the command line of a process; undefined: it cannot be read. */
export function clientAmong(parents: readonly number[], words: (pid: number) => readonly string[] | undefined): number | undefined {
  const client = parents.find((pid) => !isWrapper(words(pid)));
  return client === INIT ? undefined : client;
}

function isWrapper(words: readonly string[] | undefined): boolean {
  const [program = '', ...rest] = words ?? [];
  // As words of their own: a prompt that speaks of the hook is one word. npm puts its whole command line into the first.
  if (rest.some((word, i) => word === 'claude-code' && rest[i - 1] === 'hook')) return true;
  if (/^npm\s.*\bhook\s+claude-code\b/.test(program)) return true;
  const runs = rest.filter((word, i) => word !== '' && !word.startsWith('-') && !START_FILES.has(rest[i - 1] ?? ''));
  return SHELLS.has(basename(program.replace(/^-/, ''))) && runs.length > 0;
}

/** From /proc, else from `ps`, which does not say where a word ends. */
function wordsOf(pid: number): readonly string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0$/, '').split('\0');
  } catch {
    if (existsSync('/proc/self/stat')) return undefined;
  }
  return psOf('command', pid)?.trim().split(/\s+/);
}
