/** The figures A5, A7 and A20 of the reference, each in a Node of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { lastJson, program, runNode, SOURCE } from './node.ts';

let folder: string;
let secret: string;

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'probe-'));
  secret = join(folder, 'secret.txt');
  writeFileSync(secret, 'THE SECRET');
  const made = folder;
  return () => rmSync(made, { recursive: true, force: true });
});

const hasStrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
if (!hasStrace) console.warn('SKIPPED: A5 needs strace, which is absent or may not trace here');

it.skipIf(!hasStrace)('A5: 600 attempts over six forms open the secret not once', async () => {
  const trace = join(folder, 'trace');
  const control = join(folder, 'control.txt');
  writeFileSync(control, 'x');
  const ran = await runNode(
    ['-f', '-qq', '-e', 'trace=open,openat,openat2', '-o', trace, process.execPath, SOURCE, program('readers.ts'), secret, control],
    process.env,
    'strace',
  );
  expect(lastJson(ran)).toStrictEqual({ refused: 600 });
  const opens = readFileSync(trace, 'utf8').split('\n');
  expect(opens.filter((line) => line.includes(secret))).toStrictEqual([]);
  // The trace does see what the six forms open.
  expect(opens.filter((line) => line.includes(control))).toHaveLength(6);
});

it('A7: 100 calls at once, over 2000 activities, none with the wrong call and none without', async () => {
  const { right, wrong, unattributed } = lastJson<Record<string, number>>(
    await runNode([SOURCE, '--no-warnings', program('attribution.ts'), folder]),
  );
  expect({ wrong, unattributed }).toStrictEqual({ wrong: 0, unattributed: 0 });
  expect(right).toBeGreaterThanOrEqual(2000);
});

it('A20: threads and Node processes below have the probe, whatever their environment was to be', async () => {
  const { got, told } = lastJson<{ got: Record<string, string>; told: readonly { verdict: { level: string; rule: string } }[] }>(
    await runNode([SOURCE, '--no-warnings', program('children.ts'), folder, secret]),
  );
  expect(Object.keys(got).length).toBeGreaterThanOrEqual(16);
  expect(got).toStrictEqual(Object.fromEntries(Object.keys(got).map((name) => [name, 'ACTIVITY_REFUSED'])));
  // Each told what it was refused to the process that started all this.
  const kills = told.filter(({ verdict }) => verdict.level === 'KILL' && verdict.rule === 'forbidden-path');
  expect(kills.length).toBeGreaterThanOrEqual(Object.keys(got).length);
});
