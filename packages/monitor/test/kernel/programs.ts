/** C programs of this folder, compiled once. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const built = new Map<string, string | undefined>();

/** Undefined where there is no C compiler, or none that can do this. */
export function compiled(name: 'reach' | 'foreign' | 'i386' | 'preloaded', flags: readonly string[] = []): string | undefined {
  const key = [name, ...flags].join(' ');
  if (built.has(key)) return built.get(key);
  const made = join(mkdtempSync(join(tmpdir(), 'countersign-program-')), name);
  try {
    execFileSync('cc', ['-O1', '-o', made, ...flags, fileURLToPath(new URL(`./${name}.c`, import.meta.url))], { stdio: 'ignore' });
    built.set(key, made);
  } catch {
    built.set(key, undefined);
  }
  return built.get(key);
}
