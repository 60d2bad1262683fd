/** `incidents restore`: what a kill put aside goes back, on record, and never by the agent's own hand. */
import { chmodSync, existsSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Json, loadConfig, monitorHost } from '@countersign/core';
import { storeFromConfig } from '@countersign/core/sqlite';
import { QUARANTINE_FOLDER, quarantine } from '@countersign/monitor';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { calls, folder, json, project, run } from '../harness.ts';

const INCIDENT = '3f9a1c20'.repeat(4);

/** @param record - what the ledger is told of the files; none: the watching ended before it could tell. */
async function aside(record: (files: readonly object[]) => readonly object[] | undefined = (files) => files) {
  const cwd = await project();
  await calls(cwd, []);
  const path = join(realpathSync(folder()), 'evil\n\u001b[31m.sh');
  writeFileSync(path, 'echo', { mode: 0o755 });
  const config = loadConfig(join(cwd, 'countersign.yaml'));
  const folderOfIt = join(config.monitor.log.dir, QUARANTINE_FOLDER);
  const kept = quarantine({ folder: folderOfIt, startedAt: Date.now() - 60_000 });
  const { items } = await kept.take([{ path, existed: false, at: 1, seq: 1 }], { incident: INCIDENT, session: 's1' });
  const files = record(items);
  if (files !== undefined) await told(cwd, INCIDENT, files);
  const id = items[0]?.id ?? '';
  return { cwd, path, id, own: join(folderOfIt, id) };
}

async function told(cwd: string, incident: string, files: readonly object[]): Promise<void> {
  const config = loadConfig(join(cwd, 'countersign.yaml'));
  const store = storeFromConfig(config, { onError: () => {} });
  const details = JSON.parse(JSON.stringify({ rollback: { files } })) as Json;
  const host = monitorHost({ store, agent: config.agent });
  await host.record({ kind: 'containment', session: 's1', incident, event: 'quarantined', count: files.length, details });
  await store.close();
}

function edit(own: string, changes: object): void {
  const path = join(own, 'manifest.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
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

  describe('when the agent was at it', () => {
    it.each([
      ['the path of its manifest', ({ own, path }) => edit(own, { path: `${path}.elsewhere` })],
      ['its manifest, said to be of another incident', ({ own }) => edit(own, { incident: 'ab'.repeat(16) })],
      ['the mode of its manifest', ({ own }) => edit(own, { mode: 0o6755 })],
      ['its content', ({ own }) => writeFileSync(join(own, 'content'), 'EVIL')],
      [
        'its content and the hash of it',
        ({ own }) => (writeFileSync(join(own, 'content'), 'e'), edit(own, { size: 1, sha256: 'ab'.repeat(32) })),
      ],
      ['the mode of its content', ({ own }) => chmodSync(join(own, 'content'), 0o4755)],
      [
        'its folder, for a link',
        ({ own }) => {
          renameSync(own, `${own}.away`);
          symlinkSync(`${own}.away`, own);
        },
      ],
    ] as readonly (readonly [string, (made: Awaited<ReturnType<typeof aside>>) => void])[])(
      'refuses it with %s changed',
      async (_, spoil) => {
        const made = await aside();
        spoil(made);
        const ran = await run(['incidents', 'restore', made.id], { cwd: made.cwd });
        expect(ran.stderr).toContain('QUARANTINE_REFUSED');
        expect([ran.code === 0, existsSync(made.path), existsSync(`${made.path}.elsewhere`)]).toEqual([false, false, false]);
      },
    );

    it('refuses what the ledger does not tell of, unless somebody says that they looked; the ledger says so', async () => {
      const { cwd, id, path } = await aside(() => undefined);
      const ran = await run(['incidents', 'restore', id], { cwd });
      expect(ran.stderr).toContain('QUARANTINE_REFUSED');
      expect(ran.stderr).toContain('--unrecorded');
      expect(existsSync(path)).toBe(false);
      expect((await run(['incidents', 'restore', id, '--unrecorded'], { cwd })).code).toBe(0);
      expect(readFileSync(path, 'utf8')).toBe('echo');
      const shown = await run(['filter', '--kind', 'containment', '--json'], { cwd });
      expect(shown.stdout).toContain('"unrecorded":true');
    });

    it('refuses what was put back before, whatever its manifest says by now', async () => {
      const { cwd, id, path, own } = await aside();
      expect((await run(['incidents', 'restore', id], { cwd })).code).toBe(0);
      renameSync(path, join(own, 'content'));
      edit(own, { state: 'kept' });
      const ran = await run(['incidents', 'restore', id], { cwd });
      expect(ran.stderr).toContain('put back already');
      expect(existsSync(path)).toBe(false);
    });

    it('refuses a record that is not what its entry commits to', async () => {
      const { cwd, id, path, own } = await aside();
      const elsewhere = `${path}.elsewhere`;
      const { path: ledger } = loadConfig(join(cwd, 'countersign.yaml')).ledger;
      const database = new Database(ledger);
      const sections = database.prepare(`SELECT seq, sections FROM openings ORDER BY seq DESC LIMIT 1`).get() as {
        seq: number;
        sections: string;
      };
      expect(sections.sections).toContain(id);
      const forged = sections.sections
        .replace(/"manifest":"[0-9a-f]{64}",/, '')
        .replace(/"path":"(?:[^"\\]|\\.)*"/, `"path":${JSON.stringify(elsewhere)}`);
      expect(forged).not.toBe(sections.sections);
      database.prepare('UPDATE openings SET sections = ? WHERE seq = ?').run(forged, sections.seq);
      database.close();
      edit(own, { path: elsewhere });
      const ran = await run(['incidents', 'restore', id], { cwd });
      expect([ran.code === 0, existsSync(path), existsSync(elsewhere)]).toEqual([false, false, false]);
      expect(ran.stderr).toMatch(/QUARANTINE_REFUSED|LEDGER_/);
    });
  });
});
