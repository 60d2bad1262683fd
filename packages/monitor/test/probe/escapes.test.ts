/**
 * Every way past the probe that the reference lists: closed here, or pinned as one of the limits that docs/guides/monitor.md states.
 * A limit that turns red has been closed: then say so in the guide.
 */
import cp from 'node:child_process';
import fs, { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import module, { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import v8 from 'node:v8';
import vm from 'node:vm';
import { beforeEach, describe, expect, it } from 'vitest';
import { namedFiles } from '../../src/probe/sqlite-statements.ts';
import { install, thrown } from './installed.ts';
import { lastJson, program, runNode, SOURCE } from './node.ts';

const require = createRequire(import.meta.url);
const WORD = 'canary-key';
const REFUSED = { code: 'ACTIVITY_REFUSED', details: { rule: 'canary' } };
const ESCAPE = { code: 'ACTIVITY_REFUSED', details: { rule: 'probe-escape' } };

let folder: string;
let secret: string;

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'probe-'));
  secret = join(folder, WORD);
  writeFileSync(secret, 'KEY=the secret');
  const made = folder;
  return () => rmSync(made, { recursive: true, force: true });
});

describe('closed', () => {
  it('process.loadEnvFile, named and by default', () => {
    install(WORD);
    expect(thrown(() => process.loadEnvFile(secret))).toMatchObject(REFUSED);
    install('.env');
    expect(thrown(() => process.loadEnvFile())).toMatchObject(REFUSED);
  });

  it('process.binding of what opens files, starts processes or connects, whatever it is called with', () => {
    install(WORD);
    const { binding } = process as unknown as { binding(this: void, name: unknown): unknown };
    for (const name of ['fs', 'spawn_sync', 'process_wrap', 'tcp_wrap', 'pipe_wrap', 'udp_wrap', 'cares_wrap', 'contextify', 'no such']) {
      expect(
        thrown(() => binding(name)),
        name,
      ).toMatchObject(ESCAPE);
    }
    let asked = 0;
    expect(thrown(() => binding({ toString: () => (asked++ === 0 ? 'fs' : 'natives') }))).toMatchObject(ESCAPE);
    expect(binding({ toString: () => (asked++ === 1 ? 'natives' : 'fs') })).toHaveProperty('fs');
    expect(binding('constants')).toBeTypeOf('object');
  });

  it('the native handle of a process, and the constructor that a thread has from its prototype', () => {
    install(WORD);
    const handle = Reflect.get(new cp.ChildProcess(), '_handle') as { spawn(...args: unknown[]): unknown };
    expect(thrown(() => handle.spawn('cat', ['cat', secret], undefined, [], [], 0))).toMatchObject(REFUSED);
  });

  it('native code is judged when it is loaded', () => {
    install(WORD);
    fs.writeFileSync(join(folder, 'plain.node'), 'x');
    fs.symlinkSync(`${secret}.node`, join(folder, 'link.node'));
    expect(thrown(() => require(`${secret}.node`))).toBeInstanceOf(Error);
    expect(thrown(() => process.dlopen({ exports: {} }, `${secret}.node`))).toMatchObject(REFUSED);
    expect(thrown(() => process.dlopen({ exports: {} }, join(folder, 'link.node')))).toMatchObject(REFUSED);
  });

  it('heap snapshots and reports are files', () => {
    install(WORD);
    expect(thrown(() => v8.writeHeapSnapshot(secret))).toMatchObject(REFUSED);
    expect(thrown(() => process.report.writeReport(secret))).toMatchObject(REFUSED);
  });

  it('node:sqlite: the database, a URI, a statement that names a file, one that works it out, an extension', async () => {
    const { probe } = install(WORD);
    const { DatabaseSync, backup } = process.getBuiltinModule('node:sqlite');
    expect(thrown(() => new DatabaseSync(secret))).toMatchObject(REFUSED);
    expect(thrown(() => new DatabaseSync(Buffer.from(secret)))).toMatchObject(REFUSED);
    expect(thrown(() => new DatabaseSync(pathToFileURL(secret)))).toMatchObject(REFUSED);
    expect(thrown(() => new DatabaseSync(`file:${secret.replace('canary', '%63anary')}?mode=ro`))).toMatchObject(REFUSED);
    const database = new DatabaseSync(':memory:', { allowExtension: true });
    const Again = database.constructor as typeof DatabaseSync;
    expect(thrown(() => new Again(secret))).toMatchObject(REFUSED);
    expect(thrown(() => database.exec(`ATTACH DATABASE '${secret}' AS s`))).toMatchObject(REFUSED);
    expect(thrown(() => database.prepare(`/* */ attach "${secret}" as s`))).toMatchObject(REFUSED);
    expect(thrown(() => database.exec(`SELECT 1; VACUUM INTO '${secret}'`))).toMatchObject(REFUSED);
    expect(thrown(() => database.prepare('ATTACH ? AS s'))).toMatchObject(ESCAPE);
    expect(thrown(() => database.exec(`ATTACH 'a' || 'b' AS s`))).toMatchObject(ESCAPE);
    expect(thrown(() => database.createTagStore?.())).toMatchObject(ESCAPE);
    expect(thrown(() => database.loadExtension(secret))).toMatchObject(REFUSED);
    await expect(backup(database, secret)).rejects.toMatchObject(REFUSED);
    // Text that only speaks of it.
    database.exec(`CREATE TABLE mails (body TEXT); INSERT INTO mails VALUES ('please attach ''it'' ; attach x')`);
    expect(database.prepare('SELECT count(*) AS n FROM mails').get()).toMatchObject({ n: 1 });
    database.close();
    probe.uninstall();
    expect(process.getBuiltinModule('node:sqlite').DatabaseSync).not.toBe(DatabaseSync);
  });

  it('node:wasi: no folder is opened for WebAssembly', () => {
    install(WORD);
    const { WASI } = process.getBuiltinModule('node:wasi');
    expect(thrown(() => new WASI({ version: 'preview1', preopens: { '/': folder } }))).toMatchObject(ESCAPE);
    expect(new WASI({ version: 'preview1' })).toBeInstanceOf(WASI);
  });

  it('a secret imported or required as a module, and rare modules by every way to load one', async () => {
    const got = lastJson<Record<string, string>>(await runNode([SOURCE, '--no-warnings', program('modules.ts'), folder]));
    expect(got).toStrictEqual(Object.fromEntries(Object.keys(got).map((name) => [name, 'ACTIVITY_REFUSED'])));
    expect(Object.keys(got).length).toBeGreaterThanOrEqual(9);
  });

  it('a thread of module hooks is flagged where it would not have the probe, and runs', () => {
    const { seen } = install('data:text/javascript', { level: 'SAFE' });
    module.register('data:text/javascript,');
    expect(seen.map(({ verdict }) => [verdict.level, verdict.rule])).toContainEqual(['FLAG', 'probe-escape']);
  });
});

describe('limits that the guide states', () => {
  it('a copy that was taken before the probe reads on, where Node hands over to its native code at once', async () => {
    const { readFile, readFileSync, createReadStream } = fs;
    const { spawn } = cp;
    const read = promises.readFile;
    install(WORD);
    expect(readFileSync(secret, 'utf8')).toBe('KEY=the secret');
    expect(await read(secret, 'utf8')).toBe('KEY=the secret');
    expect(await new Promise((resolve) => readFile(secret, 'utf8', (_, data) => resolve(data)))).toBe('KEY=the secret');
    // These are caught further in.
    expect(thrown(() => readFileSync(secret))).toMatchObject(REFUSED);
    expect(await new Promise((resolve) => createReadStream(secret).on('error', resolve))).toMatchObject(REFUSED);
    expect(await new Promise((resolve) => spawn('cat', [secret]).on('error', resolve))).toMatchObject(REFUSED);
  });

  it('a shell names a file without spelling it', () => {
    install(WORD);
    expect(cp.execSync('cat can*', { cwd: folder }).toString()).toContain('the secret');
  });

  it('a hard link that was made by somebody else is another name', () => {
    fs.linkSync(secret, join(folder, 'plain'));
    install(WORD);
    expect(fs.readFileSync(join(folder, 'plain'), 'utf8')).toContain('the secret');
  });

  it('a descriptor that was open before is read from', () => {
    const fd = fs.openSync(secret, 'r');
    install(WORD);
    expect(fs.readFileSync(fd, 'utf8')).toContain('the secret');
    fs.closeSync(fd);
  });

  it('names of files are listed, and asked for, without being read', () => {
    install(WORD);
    expect(fs.readdirSync(folder)).toStrictEqual([WORD]);
    expect(fs.globSync('*', { cwd: folder })).toStrictEqual([WORD]);
    expect(fs.statSync(secret).size).toBe(14);
    expect(fs.existsSync(secret)).toBe(true);
  });

  it('code that knows where our files lie reads past the probe', async () => {
    install(WORD);
    const { readBytes } = await import('../../src/probe/originals.ts');
    expect(readBytes(secret, 100).toString()).toContain('the secret');
  });
});

describe("the guard's own files", () => {
  it('are refused to everybody else, by whatever name a script gives itself when it does not call from our folder', () => {
    const own = join(folder, 'ledger.db');
    fs.writeFileSync(own, 'x');
    install('ledger.db', { own: [own] });
    expect(thrown(() => fs.readFileSync(own))).toMatchObject(REFUSED);
    const read = new vm.Script('(fs, path) => fs.readFileSync(path)', { filename: '/somewhere/core/src/store.ts' }).runInThisContext() as (
      ...args: unknown[]
    ) => unknown;
    expect(thrown(() => read(fs, own))).toMatchObject(REFUSED);
  });

  it('a script that forges its name gets at them, and at nothing else', () => {
    const own = join(folder, 'ledger.db');
    fs.writeFileSync(own, 'x');
    install('canary-key', {
      own: [own],
      judge: ({ action }) => ({
        level: action.kind === 'read' && action.path.startsWith(folder) ? 'HALT' : 'SAFE',
        rule: 'canary',
        reason: '',
        evaluator: 'rules',
        confidence: 1,
        evidence: [],
      }),
    });
    const forged = new vm.Script('(fs, path) => fs.readFileSync(path)', {
      filename: new URL('../../src/monitor.ts', import.meta.url).pathname,
    }).runInThisContext() as (...args: unknown[]) => unknown;
    expect(String(forged(fs, own))).toBe('x');
    expect(thrown(() => forged(fs, secret))).toMatchObject(REFUSED);
  });

  it("the sampler's readings lead to /proc and to nothing else", async () => {
    const { withinOwnWork } = await import('../../src/probe/own-work.ts');
    const { seen } = install('proc', { level: 'HALT' });
    withinOwnWork(() => fs.readFileSync('/proc/self/stat'));
    expect(seen).toHaveLength(0);
    expect(thrown(() => fs.readFileSync('/proc/self/stat'))).toMatchObject(REFUSED);
    install(WORD);
    expect(thrown(() => withinOwnWork(() => fs.readFileSync(secret)))).toMatchObject(REFUSED);
    fs.symlinkSync(secret, join(folder, 'link'));
    expect(thrown(() => withinOwnWork(() => fs.readFileSync(`/proc/self/root${folder}/link`)))).toMatchObject(REFUSED);
  });
});

describe('files that statements name', () => {
  it.each([
    ['SELECT 1', []],
    [`ATTACH 'a' AS b`, ['a']],
    [`attach database 'it''s' as b;`, ["it's"]],
    [`EXPLAIN QUERY PLAN ATTACH 'a' AS b`, ['a']],
    [`ATTACH/**/'a'AS b; ATTACH "c" AS d`, ['a', 'c']],
    [`-- ATTACH 'x' AS y\nSELECT 'ATTACH ''a'' AS b'`, []],
    ['ATTACH ?1 AS b', [undefined]],
    ['ATTACH plain AS b', [undefined]],
    [`ATTACH ('a') AS b`, [undefined]],
    [`ATTACH x'61' AS b`, [undefined]],
    ['ATTACH', [undefined]],
    ['VACUUM', []],
    ['VACUUM main', []],
    [`VACUUM main INTO 'a'`, ['a']],
    ['VACUUM INTO :file', [undefined]],
    ['CREATE TABLE attach (into TEXT)', []],
    ['/* never closed ATTACH', []],
  ])('%j', (sql, files) => {
    expect(namedFiles(sql)).toStrictEqual(files);
  });
});
