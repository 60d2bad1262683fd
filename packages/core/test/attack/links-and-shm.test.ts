/** A ledger whose path leads elsewhere by links, or whose readers and writers no longer share one index: nothing is released. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { expect, it, onTestFinished, vi } from 'vitest';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { announced } from '../../src/sqlite/announced.ts';
import { eraseDeleted } from '../../src/sqlite/erase.ts';
import { KnownHeads } from '../../src/sqlite/known-heads.ts';
import { LedgerWriter } from '../../src/sqlite/writer.ts';
import type { Unit } from '../../src/store-units.ts';
import { guardOn, LEDGER_PEM, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const IS_LINUX = process.platform === 'linux';
if (!IS_LINUX) process.stderr.write('SKIPPED: what touching a mapped file that was cut short does is known of Linux only\n');
const PROCESS = fileURLToPath(new URL('../fixtures/permit-process.ts', import.meta.url));

const CALL = { tool: { name: 'grab' }, args: {} };

function moveAndLink(file: string): void {
  const away = join(dirname(file), 'away');
  mkdirSync(away, { recursive: true });
  renameSync(file, join(away, 'moved'));
  symlinkSync(join(away, 'moved'), file);
}

it.each<[string, (path: string) => void]>([
  // The WAL is looked for beside the file itself: whoever opens the path finds none.
  ['the ledger moved away, and a link to it', moveAndLink],
  // Then the WAL could go without a change of the folder.
  ['the WAL moved away, and a link to it', (path) => moveAndLink(`${path}-wal`)],
  // Who opens the ledger next makes another one, and two writers no longer lock each other out.
  ['the -shm unlinked', (path) => rmSync(`${path}-shm`)],
])('%s: refused', async (_what, spoil) => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store);
  expect((await guard.authorize(CALL)).kind).toBe('permit');
  spoil(path);
  for (let i = 0; i < 3; i++) expect((await guard.authorize(CALL)).kind).toBe('refusal');
  await store.close();
});

it('the folder itself may be reached by a link, and what happens in it is seen', async () => {
  const real = join(tempDirectory(), 'real');
  mkdirSync(real);
  symlinkSync(real, `${real}.link`);
  const store = openLedger(join(`${real}.link`, 'ledger.db'));
  const guard = guardOn(store);
  expect((await guard.authorize(CALL)).kind).toBe('permit');
  rmSync(join(real, 'ledger.db-wal'));
  expect((await guard.authorize(CALL)).kind).toBe('refusal');
  await store.close();
});

it.each<[string, (path: string) => void, RegExp]>([
  [
    'the ledger, a link',
    (path) => (writeFileSync(path, ''), moveAndLink(path)),
    /cannot open the ledger .*: it is a symbolic link, and its WAL would lie beside the file it leads to: give the path of that file/,
  ],
  ['the ledger, a link to nothing', (path) => symlinkSync('nothing', path), /: it is a symbolic link/],
  ['the ledger, a folder', (path) => mkdirSync(path), /: it is not a regular file/],
  ['its WAL, a link', (path) => symlinkSync('nothing', `${path}-wal`), /-wal is a symbolic link: put the file it leads to in its place/],
  ['its -shm, a link', (path) => symlinkSync('nothing', `${path}-shm`), /-shm is a symbolic link/],
  ['its -shm, a folder', (path) => mkdirSync(`${path}-shm`), /-shm is not a regular file/],
  // SQLite would wait for whoever writes to it.
  ['its journal, a pipe', (path) => execFileSync('mkfifo', [`${path}-journal`]), /-journal is not a regular file/],
])('%s: opening it says so', (_what, spoil, message) => {
  const path = join(tempDirectory(), 'ledger.db');
  spoil(path);
  expect(() => openLedger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE', message: expect.stringMatching(message) }));
});

/** Of two processes on one ledger: what each was permitted, and what of it stands in the ledger at the end. */
class Two {
  readonly path = join(tempDirectory(), 'ledger.db');
  readonly permitted: string[] = [];

  async process(session: string, writer = 'inline'): Promise<ChildProcess> {
    const child = fork(PROCESS, [this.path, Buffer.from(LEDGER_PEM).toString('base64'), session, writer], {
      execArgv: ['--conditions=@countersign/source', '--no-warnings'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child, 'message');
    return child;
  }

  /** @returns whether each call got a permit. */
  async ask(child: ChildProcess, calls: number): Promise<readonly boolean[]> {
    const answers: boolean[] = [];
    for (let i = 0; i < calls; i++) {
      const call = await this.say(child, 'call');
      if (call !== undefined) this.permitted.push(call);
      answers.push(call !== undefined);
    }
    return answers;
  }

  async say(child: ChildProcess, word: 'call' | 'close'): Promise<string | undefined> {
    child.send(word);
    const [{ permit }] = (await once(child, 'message')) as [{ permit?: string }];
    return permit;
  }

  missing(): readonly string[] {
    const database = new Sqlite(this.path, { readonly: true });
    const text = database.prepare<[], string>('SELECT body FROM entries').pluck().all().join('\n');
    database.close();
    return this.permitted.filter((call) => !text.includes(call));
  }
}

const [YES, NO] = [true, false];

it('two processes that no longer share a -shm: what either permitted stands in the ledger, also when both are killed', async () => {
  const two = new Two();
  const first = await two.process('a');
  expect(await two.ask(first, 2)).toEqual([YES, YES]);
  rmSync(`${two.path}-shm`);
  const second = await two.process('b');
  for (let i = 0; i < 4; i++) {
    expect(await two.ask(second, 1)).toEqual([YES]);
    await two.ask(first, 2);
  }
  for (const child of [first, second]) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  expect(two.permitted.length).toBeGreaterThanOrEqual(6);
  expect(two.missing()).toEqual([]);
});

const inPlaceOf = (file: string, text: string | Buffer = readFileSync(file)): void => {
  writeFileSync(`${file}.copy`, text);
  renameSync(`${file}.copy`, file);
};

const closes = (two: Two, first: ChildProcess): Promise<unknown> => two.say(first, 'close');
const ends = (_two: Two, first: ChildProcess): Promise<unknown> => (first.disconnect(), once(first, 'exit'));

it.each<[string, string, (path: string) => void, typeof closes]>([
  ['removed', 'closes last', (path) => rmSync(`${path}-shm`), closes],
  ['removed', 'ends without closing', (path) => rmSync(`${path}-shm`), ends],
  ['renamed', 'closes last', (path) => renameSync(`${path}-shm`, `${path}.renamed`), closes],
  [
    'removed, but for another name of it',
    'closes last',
    (path) => (linkSync(`${path}-shm`, `${path}.linked`), rmSync(`${path}-shm`)),
    closes,
  ],
  ['replaced by a copy', 'closes last', (path) => inPlaceOf(`${path}-shm`), closes],
  // SQLite removes whatever lies at the path of the WAL.
  ['replaced by a copy, and so was the WAL', 'closes last', (path) => ['-wal', '-shm'].forEach((end) => inPlaceOf(path + end)), closes],
])('a -shm that was %s: whoever has it and %s removes nothing of what the other wrote', async (_taken, _last, take, end) => {
  const two = new Two();
  const first = await two.process('a');
  expect(await two.ask(first, 2)).toEqual([YES, YES]);
  take(two.path);
  const second = await two.process('b');
  expect(await two.ask(second, 3)).toEqual([YES, YES, YES]);
  second.kill('SIGKILL');
  await once(second, 'exit');
  await end(two, first);
  expect(two.missing()).toEqual([]);
  // And the ledger is the one that whoever opens it next expects.
  expect(await two.ask(await two.process('c'), 1)).toEqual([YES]);
});

it('whoever has the -shm that was taken away, was refused, opened the ledger again and closes last removes nothing either', async () => {
  const two = new Two();
  const first = await two.process('a');
  expect(await two.ask(first, 2)).toEqual([YES, YES]);
  rmSync(`${two.path}-shm`);
  const second = await two.process('b');
  expect(await two.ask(second, 3)).toEqual([YES, YES, YES]);
  await two.say(second, 'close');
  expect(await two.ask(first, 1)).toEqual([NO]);
  // It opens the ledger again by itself, after a while.
  await vi.waitFor(async () => expect(await two.ask(first, 1)).toEqual([YES]), 20_000);
  await two.say(first, 'close');
  expect(two.missing()).toEqual([]);
  expect(await two.ask(await two.process('c'), 1)).toEqual([YES]);
});

it.each([
  ['a writer on a thread', 'worker', YES],
  ['a mirror', 'mirror', YES],
  ['another store', 'second store', NO],
])(
  '%s of this process still reads by the -shm that was taken away: the ledger is not opened again with that one',
  async (_what, how, isBack) => {
    const two = new Two();
    const first = await two.process('a', how);
    expect(await two.ask(first, 2)).toEqual([YES, YES]);
    rmSync(`${two.path}-shm`);
    const second = await two.process('b');
    expect(await two.ask(second, 3)).toEqual([YES, YES, YES]);
    expect(await two.ask(first, 1)).toEqual([NO]);
    if (isBack) await vi.waitFor(async () => expect(await two.ask(first, 1)).toEqual([YES]), 20_000);
    for (let i = 0; i < 2; i++) {
      await setTimeout(300);
      expect(await two.ask(second, 1)).toEqual([YES]);
      expect(await two.ask(first, 1)).toEqual([isBack]);
    }
    for (const child of [first, second]) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    expect(two.missing()).toEqual([]);
    expect(await two.ask(await two.process('c'), 1)).toEqual([YES]);
  },
);

it.each(['inline', 'worker'] as const)(
  'an idle store (%s) lets go of a -shm that was taken away, and another opens the ledger',
  async (writer) => {
    const path = join(tempDirectory(), 'ledger.db');
    const [idle, store] = [openLedger(path, { writer }), openLedger(path, { writer: 'inline' })];
    const [guard, idleGuard] = [guardOn(store), guardOn(idle)];
    expect((await idleGuard.authorize(CALL)).kind).toBe('permit');
    rmSync(`${path}-shm`);
    const beat = (): void => idle['beat']();
    expect((await guard.authorize(CALL)).kind).toBe('refusal');
    // A thread does that by itself, every fifteen seconds, and is found to have ended the next time.
    await vi.waitFor(
      async () => {
        beat();
        expect((await guard.authorize(CALL)).kind).toBe('permit');
      },
      { timeout: 25_000, interval: 500 },
    );
    await vi.waitFor(async () => expect((await idleGuard.authorize(CALL)).kind).toBe('permit'), 20_000);
    await idle.close();
    await store.close();
  },
);

it.runIf(IS_LINUX)('a -shm that was cut short kills who has it, and nothing is lost', async () => {
  const two = new Two();
  const first = await two.process('a');
  expect(await two.ask(first, 2)).toEqual([YES, YES]);
  truncateSync(`${two.path}-shm`, 0);
  first.send('call');
  expect((await once(first, 'exit'))[1]).toBe('SIGBUS');
  expect(two.missing()).toEqual([]);
  expect(await two.ask(await two.process('b'), 1)).toEqual([YES]);
});

it.each<[string, (path: string) => void]>([
  ['taken away with its -shm', (path) => ['-wal', '-shm'].forEach((end) => rmSync(path + end))],
  ['replaced by an empty one', (path) => inPlaceOf(`${path}-wal`, '')],
])('a WAL that was %s is saved by who has it, when nobody else wrote', async (_what, take) => {
  const two = new Two();
  const first = await two.process('a');
  expect(await two.ask(first, 2)).toEqual([YES, YES]);
  take(two.path);
  await two.say(first, 'close');
  expect(two.missing()).toEqual([]);
});

it('a WAL and a -shm that are others once all entries are read are not taken for those that were opened', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const before = openLedger(path);
  await guardOn(before).authorize(CALL);
  await before.close();
  let isSwapped = false;
  const nowMs = (): number => {
    // The clock is asked in the middle of the opening.
    for (const end of isSwapped ? [] : ['-wal', '-shm']) {
      copyFileSync(`${path}${end}`, `${path}${end}.copy`);
      renameSync(`${path}${end}.copy`, `${path}${end}`);
    }
    isSwapped = true;
    return Date.now();
  };
  expect(() => openLedger(path, { clock: { nowMs }, writer: 'inline' })).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
  expect(isSwapped).toBe(true);
});

/** What writes, alone: it is asked for what no guard does by itself at a time of ours. */
function writerOn(path: string): { readonly writer: LedgerWriter; readonly heads: KnownHeads } {
  const heads = new KnownHeads(path, join(dirname(path), 'state'));
  const signer = signerFromPem(LEDGER_PEM, ORIGIN);
  const writer = new LedgerWriter({
    path,
    origin: ORIGIN,
    signer,
    clock: { nowMs: Date.now },
    writer: 'f'.repeat(32),
    create: true,
    heads,
  });
  onTestFinished(() => writer.close());
  return { writer, heads };
}

it('a ledger is not written anew, for what was forgotten, by a -shm that was taken away', async () => {
  const two = new Two();
  const store = openLedger(two.path);
  rmSync(`${two.path}-shm`);
  const second = await two.process('b');
  expect(await two.ask(second, 3)).toEqual([YES, YES, YES]);
  await expect(eraseDeleted(two.path, 1000)).rejects.toMatchObject({ code: 'LEDGER_REPLACED' });
  expect(await two.ask(second, 1)).toEqual([YES]);
  await store.close();
  expect(two.missing()).toEqual([]);
});

it('a lease that announces an opening is not ended in a ledger that was taken away meanwhile', () => {
  const path = join(tempDirectory(), 'ledger.db');
  writerOn(path);
  const size = announced(path, () => (rmSync(`${path}-shm`), statSync(`${path}-wal`).size), { COUNTERSIGN_RUN: '1' });
  expect(statSync(`${path}-wal`).size).toBe(size);
});

it('a writer on a thread that is refused while its store closes removes nothing of what others wrote', async () => {
  for (let i = 0; i < 4; i++) {
    const two = new Two();
    const first = await two.process('a', 'worker');
    expect(await two.ask(first, 2)).toEqual([YES, YES]);
    renameSync(`${two.path}-shm`, `${two.path}.renamed`);
    const second = await two.process('b');
    expect(await two.ask(second, 3)).toEqual([YES, YES, YES]);
    await two.say(second, 'close');
    await two.say(first, 'close');
    expect(two.missing()).toEqual([]);
  }
});

it('whoever opens a ledger again asks for all that anybody saw in it, not only for what they wrote', () => {
  const { writer, heads } = writerOn(join(tempDirectory(), 'ledger.db'));
  const { ledger } = writer.head();
  writer.recover();
  heads.write({ ledger, size: 1_000, root: 'a'.repeat(64) });
  expect(() => writer.recover()).toThrow(expect.objectContaining({ code: 'LEDGER_ROLLED_BACK' }));
});

const RECORD: Unit = { kind: 'record', body: { kind: 'recovery', event: 'mirror-tail-cut', kept_entries: 0, cut_bytes: 1 } };

it.each<[string, (writer: LedgerWriter) => void]>([
  ['it is refused', (writer) => expect(() => writer.commitBatch([RECORD])).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }))],
  ['it is opened again', (writer) => expect(() => writer.recover()).toThrow(expect.objectContaining({ code: 'LEDGER_ROLLED_BACK' }))],
  ['its thread ends', (writer) => writer.abandon()],
])('all that was told to be durable is known outside of a ledger that was taken away as soon as %s', (_when, meet) => {
  const path = join(tempDirectory(), 'ledger.db');
  const { writer, heads } = writerOn(path);
  for (let i = 0; i < 3; i++) writer.commitBatch([RECORD]);
  // At most once a second as long as all is well.
  expect(heads.read()?.size).toBeLessThan(writer.head().size);
  const { size } = writer.head();
  for (const end of ['-wal', '-shm']) inPlaceOf(path + end, '');
  meet(writer);
  expect(heads.read()?.size).toBe(size);
});

it('an entry that was refused since its ledger was gone when it was committed is not what the ledger must hold later', () => {
  const path = join(tempDirectory(), 'ledger.db');
  const { writer, heads } = writerOn(path);
  writer.commitBatch([RECORD]);
  // All of it is in the ledger, so nothing is lost with the WAL.
  writer.open.database.pragma('wal_checkpoint(FULL)');
  const { size } = writer.head();
  const { log } = writer.open;
  const seal = log.seal.bind(log);
  vi.spyOn(log, 'seal').mockImplementation(() => {
    seal();
    for (const end of ['-wal', '-shm']) rmSync(path + end);
  });
  expect(() => writer.commitBatch([RECORD])).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
  expect(writer.head().size).toBe(size);
  writer.recover();
  expect(writer.commitBatch([RECORD])).toEqual([expect.objectContaining({ kind: 'recorded' })]);
  expect(heads.read()?.size).toBeGreaterThanOrEqual(size);
});

it('no lease is written to a ledger that is not at its path any more, and its key is not rotated', () => {
  const path = join(tempDirectory(), 'ledger.db');
  const { writer } = writerOn(path);
  const { leases, log } = writer.open;
  const [take, release] = [vi.spyOn(leases, 'take'), vi.spyOn(leases, 'release')];
  writer.beat();
  expect(take).toHaveBeenCalledOnce();
  rmSync(`${path}-shm`);
  const append = vi.spyOn(log, 'append');
  expect(() => writer.rotate(signerFromPem(generateKey(ORIGIN).privatePem, ORIGIN))).toThrow(
    expect.objectContaining({ code: 'LEDGER_REPLACED' }),
  );
  expect(() => writer.beat()).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
  writer.close();
  expect([take.mock.calls.length, release.mock.calls.length, append.mock.calls.length]).toEqual([1, 0, 0]);
});
