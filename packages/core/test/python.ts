/** The independent verifier in examples/verify-in-python, where there is a Python for it. */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
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

/** Receipts or exports, checked in one process: true where it accepts. */
export function acceptedInPython(texts: readonly string[], vkey: string): readonly boolean[] {
  const program = `
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
import verify
key, accepted = verify.Key(sys.argv[2]), []
for text in json.load(sys.stdin):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            check = verify.verify_export if text.startswith('{"countersign":"export"') else verify.verify_receipt
            accepted.append(check(io.BytesIO(text.encode()) if check is verify.verify_export else text, key) == 0)
    except (verify.Invalid, ValueError):
        accepted.append(False)
print(json.dumps(accepted))`;
  const { stdout, stderr } = spawnSync(python ?? 'python3', ['-c', program, dirname(SCRIPT), vkey], {
    input: JSON.stringify(texts),
    encoding: 'utf8',
    maxBuffer: 16_777_216,
  });
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout) as readonly boolean[];
}

export interface PythonVerdict {
  readonly code: number | null;
  readonly text: string;
}

export function verifyInPython(file: string, vkey: string): PythonVerdict {
  const { status, stdout, stderr } = spawnSync(python ?? 'python3', [SCRIPT, file, vkey], { encoding: 'utf8' });
  return { code: status, text: stdout + stderr };
}
