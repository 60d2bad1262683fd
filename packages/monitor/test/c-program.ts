/** The C programs of tests and benches: compiled once in a process, gone with it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const compiled = new Map<string, string | undefined>();

/**
 * @param name - of its source, from this folder on and without its ending: `kernel/calls`.
 * @param flags - of the compiler.
 * @returns the program; undefined where there is no C compiler, or none that can do this.
 */
export function cProgram(name: string, flags: readonly string[] = ['-pthread']): string | undefined {
  const key = [name, ...flags].join(' ');
  if (!compiled.has(key)) compiled.set(key, compile(name, flags));
  return compiled.get(key);
}

function compile(name: string, flags: readonly string[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-program-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  // Other users run it too.
  chmodSync(folder, 0o755);
  const made = join(folder, basename(name));
  try {
    execFileSync('cc', ['-O1', ...flags, '-o', made, fileURLToPath(new URL(`./${name}.c`, import.meta.url))], { stdio: 'ignore' });
    return made;
  } catch {
    return undefined;
  }
}
