/** Verification changes no byte and no time of what it reads, and leaves nothing beside it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CompactRange, leafHash } from '../../src/ledger/merkle.ts';
import { type VerifyOptions, verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_PEM, LEDGER_VKEY, tempDirectory } from '../fixtures/ledger.ts';
import { exported, exportLines, headerOf, linesOf, mirror, partsOf } from '../jsonl/made.ts';
import { chained, lines, scenario, writeLines, writeSqlite } from '../sudoagent/writer.ts';
import { noteOf } from './forge.ts';
import { writeScenario } from './scenario.ts';

const NOBODY = 65_534;
const SOURCE = (path: string): string => JSON.stringify(fileURLToPath(new URL(`../../src/${path}`, import.meta.url)));
const NODE = ['--no-warnings', '--conditions=@countersign/source', '--input-type=module', '-e'];

interface Seen {
  readonly bytes: string;
  readonly changedNs: bigint;
}

/** Every file of a folder: contents and the time they were last written. */
function seen(folder: string): ReadonlyMap<string, Seen> {
  const names = readdirSync(folder).toSorted();
  return new Map(
    names.map((name) => {
      const path = join(folder, name);
      return [name, { bytes: hash('sha256', readFileSync(path)), changedNs: statSync(path, { bigint: true }).mtimeNs }];
    }),
  );
}

let path: string;
let since: string;
let open: { readonly file: string; readonly child: ChildProcess };
beforeAll(async () => {
  path = (await writeScenario()).path;
  const tree = new CompactRange();
  for (const body of partsOf(path).bodies.slice(0, 5)) tree.push(leafHash(body));
  since = noteOf({ size: tree.size, root: tree.root() });
  open = await live();
});
afterAll(() => open.child.kill('SIGKILL'));

/** The ways a ledger is verified that open files differently. */
const ways = (): readonly VerifyOptions[] => [
  { publicKeys: [LEDGER_VKEY], threads: 1 },
  { publicKeys: [LEDGER_VKEY], threads: 1, since },
  { publicKeys: [LEDGER_VKEY], threads: 2, since },
];

/** @param isLeftOut - files that SQLite itself may write to; nothing else may differ. */
async function expectUnchanged(file: string, isLeftOut: (name: string) => boolean = () => false, status = 'valid'): Promise<void> {
  const kept = (): readonly (readonly [string, Seen])[] => [...seen(dirname(file))].filter(([name]) => !isLeftOut(name));
  for (const options of ways()) {
    const before = kept();
    expect((await verifyLedger(file, options)).status).toBe(status);
    expect(kept()).toEqual(before);
  }
}

const isShm = (name: string): boolean => name.endsWith('-shm');

/** A copy of the scenario that another process has open, with entries in the -wal. */
async function live(): Promise<{ readonly file: string; readonly child: ChildProcess }> {
  const file = join(tempDirectory(), 'ledger.db');
  copyFileSync(path, file);
  const script = `
    import { openLedger } from ${JSON.stringify(fileURLToPath(new URL('../fixtures/ledger.ts', import.meta.url)))};
    import { guardOn, call } from ${JSON.stringify(fileURLToPath(new URL('./scenario.ts', import.meta.url)))};
    import { signerFromPem } from ${SOURCE('ledger/keys.ts')};
    const store = openLedger(process.argv[1], { signer: signerFromPem(process.argv[2], 'test.example/ledger') });
    const guard = guardOn(store, { session: 'live' });
    await guard.run(call('read'), () => 'ok');
    // What is still to be written is written before anybody compares.
    await guard.close();
    process.send('ready');
    process.on('message', () => {});`;
  const child = spawn(process.execPath, [...NODE, script, file, LEDGER_PEM], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(child, 'message');
  return { file, child };
}

describe('verify changes nothing of', () => {
  it('a ledger that was closed', async () => {
    const file = join(tempDirectory(), 'ledger.db');
    copyFileSync(path, file);
    await expectUnchanged(file);
    expect(readdirSync(dirname(file))).toEqual(['ledger.db']);
  });

  it('a ledger that another process has open, but for what SQLite notes of its readers in the -shm', async () => {
    const { file } = open;
    expect(readdirSync(dirname(file)).toSorted()).toEqual(['ledger.db', 'ledger.db-shm', 'ledger.db-wal']);
    await expectUnchanged(file, isShm);
    expect(readdirSync(dirname(file)).toSorted()).toEqual(['ledger.db', 'ledger.db-shm', 'ledger.db-wal']);
  });

  it('a ledger copied with its -wal and without its -shm, which SQLite makes anew', async () => {
    const { file } = open;
    const copy = join(tempDirectory(), 'ledger.db');
    for (const end of ['', '-wal']) copyFileSync(`${file}${end}`, `${copy}${end}`);
    await expectUnchanged(copy, isShm);
  });

  it('a ledger whose -wal was taken away', async () => {
    const { file } = open;
    const copy = join(tempDirectory(), 'ledger.db');
    for (const end of ['', '-shm']) copyFileSync(`${file}${end}`, `${copy}${end}`);
    await expectUnchanged(copy, () => false, 'unproven');
  });

  it.skipIf(process.platform === 'win32')('a ledger in a folder that cannot be written to, with a -wal or without', async () => {
    const { file } = open;
    for (const [from, ends] of [
      [path, ['']],
      [file, ['', '-wal']],
      [file, ['', '-wal', '-shm']],
    ] as const) {
      const folder = join(tempDirectory(), 'read-only');
      mkdirSync(folder);
      for (const end of ends) {
        copyFileSync(`${from}${end}`, join(folder, `ledger.db${end}`));
        chmodSync(join(folder, `ledger.db${end}`), 0o444);
      }
      chmodSync(dirname(folder), 0o755);
      chmodSync(folder, 0o555);
      const script = `
        import { verifyLedger } from ${SOURCE('sqlite/index.ts')};
        for (const options of JSON.parse(process.argv[2])) console.log((await verifyLedger(process.argv[1], options)).status);`;
      // Root may write everywhere, so it becomes nobody.
      const nobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
      const before = seen(folder);
      const args = [...NODE, script, join(folder, 'ledger.db'), JSON.stringify(ways())];
      expect(execFileSync(process.execPath, args, { encoding: 'utf8', ...nobody })).toBe('valid\n'.repeat(ways().length));
      expect(seen(folder)).toEqual(before);
    }
  });

  it('a mirror and an export', async () => {
    const parts = partsOf(path);
    await expectUnchanged(mirror(linesOf(parts.bodies), parts.note));
    await expectUnchanged(exported([headerOf(parts), ...exportLines(parts)]));
  });

  it('a ledger of SudoAgent', async () => {
    for (const file of [writeLines(lines(chained(scenario()))), writeSqlite(chained(scenario()))]) {
      const before = seen(dirname(file));
      for (const threads of [1, 2]) expect((await verifyLedger(file, { threads })).status).toBe('valid');
      expect(seen(dirname(file))).toEqual(before);
    }
  });

  it('a damaged ledger, or what is none', async () => {
    const file = join(tempDirectory(), 'ledger.db');
    copyFileSync(path, file);
    truncateSync(file, 8192);
    const before = seen(dirname(file));
    expect((await verifyLedger(file)).status).not.toBe('valid');
    expect(seen(dirname(file))).toEqual(before);
  });

  it('a ledger whose writer was killed', async () => {
    const { file, child } = open;
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expectUnchanged(file, isShm);
  });
});
