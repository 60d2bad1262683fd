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

  describe('without an id', () => {
    type Made = Awaited<ReturnType<typeof aside>>;
    const listed = async ({ cwd }: Made): Promise<{ readonly proven: boolean; readonly why?: string }> => {
      const [file] = json(await run(['incidents', 'restore', '--json'], { cwd }))['files'] as [{ proven: boolean; why?: string }];
      return file;
    };

    it('says that the ledger proves what it shows, also after it was put back', async () => {
      const made = await aside();
      expect(await listed(made)).toMatchObject({ id: made.id, state: 'kept', proven: true });
      expect(await listed(made)).not.toHaveProperty('why');
      expect((await run(['incidents', 'restore'], { cwd: made.cwd })).stdout).toMatch(/ kept +yes /);
      expect((await run(['incidents', 'restore', made.id], { cwd: made.cwd })).code).toBe(0);
      expect(await listed(made)).toMatchObject({ state: 'restored', proven: true });
      edit(made.own, { state: 'kept' });
      expect(await listed(made)).toMatchObject({ proven: false, why: expect.stringContaining('put back already') });
    });

    it.each([
      ['another path', { path: '/etc/passwd' }],
      ['another incident', { incident: 'ab'.repeat(16) }],
      ['another session', { session: 's2' }],
      ['another mode', { mode: 0o6755 }],
      ['another size', { size: 1 }],
      ['another hash', { sha256: 'ab'.repeat(32) }],
      ['that it was put back', { state: 'restored' }],
    ])('says that it does not where the manifest names %s', async (_what, changes) => {
      const made = await aside();
      edit(made.own, changes);
      expect(await listed(made)).toMatchObject({ ...changes, proven: false, why: expect.stringContaining('its manifest') });
      const { code, stdout } = await run(['incidents', 'restore'], { cwd: made.cwd });
      expect(code).toBe(0);
      expect(stdout).toMatch(/ no /);
      expect(stdout).toContain(`${made.id} is not proven: its manifest`);
    });

    it('says so of what the ledger does not tell of, and of a copy of another under its name', async () => {
      const made = await aside(() => undefined);
      expect(await listed(made)).toMatchObject({ proven: false, why: expect.stringContaining('--unrecorded') });
      const other = await aside();
      edit(made.own, { ...JSON.parse(readFileSync(join(other.own, 'manifest.json'), 'utf8')), id: made.id });
      expect(await listed(made)).toMatchObject({ proven: false });
    });

    it('says so of a record that is not what its entry commits to', async () => {
      const made = await aside();
      const database = new Database(loadConfig(join(made.cwd, 'countersign.yaml')).ledger.path);
      const { changes } = database.prepare(`UPDATE openings SET sections = replace(sections, '"size":4', '"size":5')`).run();
      database.close();
      expect(changes).toBeGreaterThan(0);
      edit(made.own, { size: 5 });
      expect(await listed(made)).toMatchObject({ size: 5, proven: false });
    });

    it('lists them also where the ledger cannot be read, and says that', async () => {
      const made = await aside();
      rmSync(loadConfig(join(made.cwd, 'countersign.yaml')).ledger.path);
      expect(await listed(made)).toMatchObject({ id: made.id, proven: false, why: expect.stringContaining('ledger') });
      expect((await run(['incidents', 'restore'], { cwd: made.cwd })).stdout).toContain(made.id);
    });
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
