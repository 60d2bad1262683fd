import { execFile } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { calls, json, project, run } from './harness.ts';

const NODE = ['--conditions=@countersign/source', '--no-warnings'];
const CLI = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const GUARD = fileURLToPath(new URL('fixtures/guard-process.ts', import.meta.url));
const spawn = promisify(execFile);

it('five guards and three commands on one ledger: nothing is lost, nothing forks, every answer counts', { timeout: 120_000 }, async () => {
  const cwd = await project();
  const { stdout: vkey } = await run(['keygen', '--out', 'finance.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(vkey.trim())} }\n`);
  const waiting = await calls(cwd, [{ args: { path: '/srv/1' } }, { args: { path: '/srv/2' } }]);
  expect(waiting).toHaveLength(2);

  const guard = (session: string): Promise<string> =>
    spawn(process.execPath, [...NODE, GUARD, cwd, session, '40'], { cwd }).then(({ stdout }) => stdout);
  const command = (...args: readonly string[]): Promise<string> =>
    spawn(process.execPath, [...NODE, CLI, ...args], { cwd }).then(({ stdout }) => stdout);
  const [ran, , , live] = await Promise.all([
    Promise.all(['a', 'b', 'c', 'd', 'e'].map(guard)),
    command('approvals', 'approve', waiting[0] ?? '', '--key', 'finance.key', '--as', 'finance'),
    command('approvals', 'deny', waiting[1] ?? '', '--key', 'finance.key', '--as', 'finance'),
    command('verify', '.countersign/ledger.db', '--json'),
  ]);
  expect(ran).toEqual(['40', '40', '40', '40', '40']);
  expect(JSON.parse(live)).toMatchObject({ status: 'valid' });

  const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
  expect(report).toMatchObject({ status: 'valid', authorship: 'proven', open_decisions: 0, problems: [] });
  expect(report['counts']).toMatchObject({ allowed: 200, outcomes: 200, asked: 2, approvals: 2 });
});
