/** The independent verifier in examples/verify-in-python, where there is a Python for it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../../examples/verify-in-python/verify.py', import.meta.url));

function findPython(): string | undefined {
  // The first of that name may be another than Debian's, which has the package.
  for (const command of ['python3', '/usr/bin/python3', 'python']) {
    if (spawnSync(command, ['-c', 'import cryptography'], { stdio: 'ignore' }).status === 0) return command;
  }
  console.warn(
    'SKIPPED: no Python with the package cryptography (Debian: python3-cryptography). The independent verifier does not run, so nothing is proven by it.',
  );
  return undefined;
}

export const python: string | undefined = findPython();

export interface PythonVerdict {
  readonly code: number | null;
  readonly text: string;
}

export function verifyInPython(file: string, vkey: string): PythonVerdict {
  const { status, stdout, stderr } = spawnSync(python ?? 'python3', [SCRIPT, file, vkey], { encoding: 'utf8' });
  return { code: status, text: stdout + stderr };
}
