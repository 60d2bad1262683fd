/** The C programs of this folder, built once in a process. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const built = new Map<string, string | undefined>();

/** Undefined where there is no C compiler. */
export function programOf(name: 'workload' | 'calls'): string | undefined {
  if (!built.has(name)) built.set(name, build(name));
  return built.get(name);
}

function build(name: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-built-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const made = join(folder, name);
  const source = fileURLToPath(new URL(`./${name}.c`, import.meta.url));
  try {
    execFileSync('cc', ['-O1', '-pthread', '-o', made, source], { stdio: ['ignore', 'ignore', 'inherit'] });
    return made;
  } catch {
    return undefined;
  }
}
