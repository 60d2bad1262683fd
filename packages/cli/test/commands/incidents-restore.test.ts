/** `incidents restore`: what a kill put aside goes back, on record, and never by the agent's own hand. */
import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@countersign/core';
import { QUARANTINE_FOLDER, quarantine } from '@countersign/monitor';
import { describe, expect, it } from 'vitest';
import { calls, folder, json, project, run } from '../harness.ts';

const INCIDENT = '3f9a1c20'.repeat(4);

async function aside() {
  const cwd = await project();
  await calls(cwd, []);
  const path = join(realpathSync(folder()), 'evil\n\u001b[31m.sh');
  writeFileSync(path, 'echo', { mode: 0o755 });
  const { monitor } = loadConfig(join(cwd, 'countersign.yaml'));
  const kept = quarantine({ folder: join(monitor.log.dir, QUARANTINE_FOLDER), startedAt: Date.now() - 60_000 });
  const { items } = await kept.take([{ path, existed: false, at: 1, seq: 1 }], { incident: INCIDENT, session: 's1' });
  return { cwd, path, id: items[0]?.id ?? '' };
}

describe('incidents restore', () => {
  it('shows what there is, without an escape of its name', async () => {
    const { cwd, id } = await aside();
    const ran = await run(['incidents', 'restore'], { cwd });
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining(id)]);
    expect(ran.stdout).not.toContain('\u001b');
    expect(ran.stdout.trimEnd().split('\n')).toHaveLength(2);
  });

  it('puts a file back once, and the ledger says so', async () => {
    const { cwd, path, id } = await aside();
    const ran = await run(['incidents', 'restore', id, '--json'], { cwd });
    expect([ran.code, ran.stderr]).toEqual([0, '']);
    expect(json(ran)).toMatchObject({ file: { id, state: 'restored' }, entry: { of: expect.any(Number) } });
    expect(readFileSync(path, 'utf8')).toBe('echo');
    const found = json(await run(['verify', join('.countersign', 'ledger.db'), '--json'], { cwd }));
    expect(found['status']).toBe('valid');
    const again = await run(['incidents', 'restore', id], { cwd });
    expect([again.code, again.stderr]).toEqual([expect.any(Number), expect.stringContaining('QUARANTINE_REFUSED')]);
    expect(again.code).not.toBe(0);
  });

  it.each(['', '..', 'ab', INCIDENT, '__proto__'])('knows no %j', async (id) => {
    const { cwd, path } = await aside();
    const ran = await run(['incidents', 'restore', id], { cwd });
    expect(ran.stderr).toContain('QUARANTINE_REFUSED');
    expect(existsSync(path)).toBe(false);
  });

  it('does nothing over what is there now', async () => {
    const { cwd, path, id } = await aside();
    writeFileSync(path, 'newer');
    expect((await run(['incidents', 'restore', id], { cwd })).stderr).toContain('something else is where it was');
    expect(readFileSync(path, 'utf8')).toBe('newer');
  });

  it.each(['COUNTERSIGN_CALL', 'COUNTERSIGN_GUARDED'])('is nothing for an agent: %s', async (name) => {
    const { cwd, path, id } = await aside();
    const ran = await run(['incidents', 'restore', id], { cwd, env: { [name]: '1' } });
    expect(ran.stderr).toContain('APPROVER_REFUSED');
    expect(existsSync(path)).toBe(false);
  });

  it('says so when there is nothing', async () => {
    const cwd = await project();
    const ran = await run(['incidents', 'restore'], { cwd });
    expect(ran.stdout).toBe('nothing was put aside\n');
    rmSync(cwd, { recursive: true });
  });
});
