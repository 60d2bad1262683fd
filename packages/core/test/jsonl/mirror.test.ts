import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { CountersignError } from '../../src/index.ts';
import { takeMirrorLock } from '../../src/jsonl/mirror-lock.ts';
import { MirroredLedger } from '../../src/jsonl/mirrored-ledger.ts';
import { type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { edited, tampered } from '../verify/forge.ts';
import { linesOf, partsOf } from './made.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY] };
const SECRET = 'very private';

interface Place {
  readonly ledger: string;
  readonly mirror: string;
  readonly errors: CountersignError[];
}

function place(directory = tempDirectory()): Place {
  return { ledger: join(directory, 'ledger.db'), mirror: join(directory, 'out', 'mirror.jsonl'), errors: [] };
}

/** With its folder, which a mirror does not make. */
function made(): Place {
  const where = place();
  mkdirSync(dirname(where.mirror));
  return where;
}

function start({ ledger, mirror, errors }: Place): SqliteStore {
  // Last known heads of its own: tests put older ledgers back.
  return openLedger(ledger, {
    stateDirectory: tempDirectory(),
    mirror: { path: mirror, onError: (error) => void errors.push(error) },
  });
}

async function calls(store: SqliteStore, count = 3): Promise<void> {
  const guard = guardOn(store);
  for (let i = 0; i < count; i++) expect(await guard.run({ tool: { name: 'read' }, args: { SECRET, i } }, () => 'ok')).toBe('ok');
  await guard.close();
}

async function session(where: Place, count = 3): Promise<void> {
  const store = start(where);
  await calls(store, count);
  await store.close();
}

function expectSame({ ledger, mirror }: Place): void {
  const { bodies, note } = partsOf(ledger);
  expect(readFileSync(mirror, 'utf8')).toBe(linesOf(bodies));
  expect(readFileSync(`${mirror}.checkpoint`, 'utf8')).toBe(note);
}

const cuts = ({ ledger }: Place): readonly unknown[] =>
  partsOf(ledger)
    .bodies.map((body) => JSON.parse(body) as { kind: string; event?: string })
    .filter(({ kind, event }) => kind === 'recovery' && event === 'mirror-tail-cut');

describe('a mirror', () => {
  it('is the ledger line by line, verifies, and holds no clear text', async () => {
    const where = made();
    await session(where);
    expectSame(where);
    expect(where.errors).toEqual([]);
    expect(await verifyLedger(where.mirror, OPTIONS)).toMatchObject({ status: 'valid', authorship: 'proven', problems: [] });
    for (const name of readdirSync(dirname(where.mirror))) {
      const file = join(dirname(where.mirror), name);
      expect(readFileSync(file, 'utf8')).not.toContain(SECRET);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
  });

  it('follows while the store is open', async () => {
    const where = made();
    const store = start(where);
    await calls(store);
    await vi.waitFor(() => expectSame(where), { timeout: 20_000 });
    await calls(store);
    await vi.waitFor(() => expectSame(where), { timeout: 20_000 });
    await store.close();
  });

  it('goes on where it stopped, and catches up with what was written without it', async () => {
    const where = made();
    await session(where);
    const { ino } = statSync(where.mirror);
    const alone = openLedger(where.ledger, { stateDirectory: tempDirectory() });
    await calls(alone, 5);
    await alone.close();
    await session(where);
    expectSame(where);
    expect(statSync(where.mirror).ino).toBe(ino);
    expect(cuts(where)).toEqual([]);
  });

  it('starts with a long ledger', async () => {
    const where = made();
    const alone = openLedger(where.ledger, { stateDirectory: tempDirectory() });
    await Promise.all(
      Array.from({ length: 900 }, (_, i) =>
        alone.commit({ kind: 'record', body: { kind: 'note', topic: 'x', data: 'y'.repeat(1000 + i) } }),
      ),
    );
    await alone.close();
    await session(where);
    expectSame(where);
  });

  it('of two stores is written by one at a time', async () => {
    const where = made();
    const [one, two] = [start(where), start(where)];
    await Promise.all([calls(one, 20), calls(two, 20)]);
    await vi.waitFor(() => expectSame(where), { timeout: 20_000 });
    await Promise.all([calls(one, 20), calls(two, 20)]);
    await Promise.all([one.close(), two.close()]);
    expectSame(where);
    expect(where.errors).toEqual([]);
    expect(cuts(where)).toEqual([]);
  });

  it('follows a writer on a thread of its own', async () => {
    const where = made();
    const store = openLedger(where.ledger, { writer: 'worker', mirror: { path: where.mirror } });
    await calls(store, 10);
    await vi.waitFor(() => expectSame(where), { timeout: 20_000 });
    await store.close();
    expectSame(where);
  });

  it('of an unsigned ledger has an unsigned checkpoint', async () => {
    const where = made();
    const store = openLedger(where.ledger, { signer: 'none', mirror: { path: where.mirror } });
    await calls(store);
    await store.close();
    expectSame(where);
    expect(await verifyLedger(where.mirror)).toMatchObject({ status: 'valid', authorship: 'unsigned' });
  });

  it('is protected like the ledger', async () => {
    const where = made();
    const store = start(where);
    for (const path of [where.mirror, `${where.mirror}.checkpoint`, `${where.mirror}.checkpoint.tmp`, `${where.mirror}.lock`]) {
      expect(store.files).toContain(path);
      const answer = await guardOn(store).authorize({ tool: { name: 'read' }, args: { path } });
      expect(answer).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'POLICY_DENY_OWN_FILES' } });
    }
    await store.close();
  });

  it.each(['', '-wal', '-shm'])('may not be the ledger itself (%s)', (suffix) => {
    const { ledger } = place();
    expect(() => openLedger(ledger, { mirror: { path: `${ledger}${suffix}` } })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
    expect(existsSync(ledger)).toBe(false);
  });

  it('of a ledger somebody put a line feed into is not written', () => {
    const where = made();
    const store = openLedger(where.ledger);
    return store.close().then(() => {
      const split = tampered(where.ledger, (database) => {
        database.exec(`UPDATE entries SET body = replace(body, ',', ',' || char(10)) WHERE seq = 0`);
      });
      const reader = new MirroredLedger(new Sqlite(split, { readonly: true }));
      expect(() => reader.lines(0)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
      reader.close();
      const gap = new MirroredLedger(new Sqlite(where.ledger, { readonly: true }));
      expect(() => gap.lines(-1)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
      gap.close();
      const view = new Sqlite(edited(where.ledger, 'ALTER TABLE entries RENAME TO real; CREATE VIEW entries AS SELECT * FROM real'));
      expect(() => new MirroredLedger(view)).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE' }));
      view.close();
    });
  });
});

describe('a writer that died', () => {
  it('in the middle of a line: cut off, whatever its length, and recorded', { timeout: 120_000 }, async () => {
    const where = made();
    await session(where, 1);
    const line = partsOf(where.ledger).bodies.at(-1) ?? '';
    expect(line.length).toBeGreaterThan(150);
    let expected = 0;
    for (let length = 1; length <= line.length; length += length < 40 || length > line.length - 40 ? 1 : 17) {
      const kept = partsOf(where.ledger).bodies.length;
      appendFileSync(where.mirror, line.slice(0, length));
      await session(where, 0);
      expectSame(where);
      expect(cuts(where)).toHaveLength(++expected);
      expect(cuts(where).at(-1)).toMatchObject({ kept_entries: kept, cut_bytes: length });
    }
    expect(where.errors).toEqual([]);
    expect(await verifyLedger(where.ledger, OPTIONS)).toMatchObject({ status: 'valid', problems: [], warnings: [] });
    expect((await verifyLedger(where.mirror, OPTIONS)).status).toBe('valid');
  });

  it('before it replaced the checkpoint: its lines stay, and are covered by the next', async () => {
    const where = made();
    await session(where);
    const older = readFileSync(`${where.mirror}.checkpoint`);
    await session(where);
    const before = readFileSync(where.mirror, 'utf8');
    writeFileSync(`${where.mirror}.checkpoint`, older);
    expect((await verifyLedger(where.mirror, OPTIONS)).status).toBe('unproven');
    await session(where, 0);
    expectSame(where);
    expect(readFileSync(where.mirror, 'utf8').startsWith(before)).toBe(true);
    expect(cuts(where)).toEqual([]);
  });

  it('before the first checkpoint, in the middle of a line: cut off', async () => {
    const where = made();
    await session(where);
    const { bodies } = partsOf(where.ledger);
    writeFileSync(where.mirror, linesOf(bodies).slice(0, -10));
    renameSync(`${where.mirror}.checkpoint`, `${where.mirror}.away`);
    await session(where, 0);
    expectSame(where);
    expect(cuts(where)).toMatchObject([{ kept_entries: bodies.length - 1 }]);
    expect(where.errors).toEqual([]);
  });

  it('while it wrote the checkpoint: what it left is replaced', async () => {
    const where = made();
    await session(where);
    writeFileSync(`${where.mirror}.checkpoint.tmp`, 'half a check');
    await session(where);
    expectSame(where);
    expect(existsSync(`${where.mirror}.checkpoint.tmp`)).toBe(false);
  });
});

describe('a mirror that is not one of this ledger', () => {
  type Change = (where: Place) => void | Promise<void>;
  const rewrite =
    (change: (lines: string[]) => string[]): Change =>
    ({ mirror }) => {
      const lines = readFileSync(mirror, 'utf8').split('\n').slice(0, -1);
      writeFileSync(
        mirror,
        change(lines)
          .map((line) => `${line}\n`)
          .join(''),
      );
    };
  const uncovered: Change = ({ mirror }) => writeFileSync(`${mirror}.checkpoint`, readFileSync(`${mirror}.older`));

  it.each<[string, Change]>([
    ['its last line is another', rewrite((lines) => lines.with(-1, lines[0] ?? ''))],
    ['its last line is longer', rewrite((lines) => lines.with(-1, `${lines.at(-1)} `))],
    ['an entry was added', rewrite((lines) => [...lines, lines[0] ?? ''])],
    ['an empty line was added', rewrite((lines) => [...lines, ''])],
    ['a covered entry was cut off', rewrite((lines) => lines.slice(0, -1))],
    ['a covered line was cut in two', ({ mirror }) => truncateSync(mirror, statSync(mirror).size - 5)],
    ['nothing is left of it', ({ mirror }) => truncateSync(mirror, 0)],
    ['it is gone, and its checkpoint is not', ({ mirror }) => renameSync(mirror, `${mirror}.away`)],
    [
      'a line its checkpoint does not cover is another',
      async (where) => {
        await uncovered(where);
        await rewrite((lines) => lines.with(-2, lines[0] ?? ''))(where);
      },
    ],
    ['a torn line is longer than any entry', ({ mirror }) => appendFileSync(mirror, 'x'.repeat(1_048_577))],
    ['its checkpoint is none', ({ mirror }) => writeFileSync(`${mirror}.checkpoint`, 'hello\n')],
    ['its checkpoint is empty', ({ mirror }) => truncateSync(`${mirror}.checkpoint`, 0)],
    [
      'its checkpoint has another root',
      ({ mirror }) => {
        const note = readFileSync(`${mirror}.checkpoint`, 'utf8').split('\n');
        writeFileSync(`${mirror}.checkpoint`, `${note[0]}\n${note[1]}\n${Buffer.alloc(32, 7).toString('base64')}\n`);
      },
    ],
    [
      'an older ledger was put back',
      async (where) => {
        copyFileSync(where.ledger, `${where.ledger}.older`);
        await session(where);
        renameSync(`${where.ledger}.older`, where.ledger);
      },
    ],
    [
      'another ledger was put there',
      async (where) => {
        const other = made();
        await session(other, 20);
        renameSync(other.ledger, where.ledger);
      },
    ],
  ])('%s: refused, not touched, and calls go on', async (_name, change) => {
    const where = made();
    await session(where, 2);
    copyFileSync(`${where.mirror}.checkpoint`, `${where.mirror}.older`);
    await session(where, 2);
    await change(where);
    const bytes = (): (Buffer | undefined)[] =>
      ['', '.checkpoint'].map((end) => (existsSync(`${where.mirror}${end}`) ? readFileSync(`${where.mirror}${end}`) : undefined));
    const before = bytes();
    const store = start(where);
    await vi.waitFor(() => expect(where.errors.length).toBeGreaterThan(0), { timeout: 20_000 });
    await calls(store);
    await store.close();
    expect(where.errors.map(({ code }) => code)).toEqual(['MIRROR_DIVERGED']);
    // A missing file is made anew, empty.
    expect(bytes().map((content) => content ?? Buffer.alloc(0))).toEqual(before.map((content) => content ?? Buffer.alloc(0)));
    expect(cuts(where)).toEqual([]);
    expect((await verifyLedger(where.ledger, OPTIONS)).status).toBe('valid');
  });
});

describe('a mirror that cannot be written', () => {
  it.each<[string, (where: Place) => void, (where: Place) => void]>([
    ['its folder is missing', () => undefined, ({ mirror }) => mkdirSync(dirname(mirror))],
    [
      'a folder stands in its place',
      ({ mirror }) => mkdirSync(mirror, { recursive: true }),
      ({ mirror }) => renameSync(mirror, `${mirror}.away`),
    ],
    [
      'a pipe stands in its place',
      ({ mirror }) => {
        mkdirSync(dirname(mirror));
        execFileSync('mkfifo', [mirror]);
      },
      ({ mirror }) => renameSync(mirror, `${mirror}.away`),
    ],
    [
      'a pipe stands in place of its lock',
      ({ mirror }) => {
        mkdirSync(dirname(mirror));
        execFileSync('mkfifo', [`${mirror}.lock`]);
      },
      ({ mirror }) => renameSync(`${mirror}.lock`, `${mirror}.away`),
    ],
    [
      'a folder stands in place of its checkpoint',
      ({ mirror }) => mkdirSync(`${mirror}.checkpoint`, { recursive: true }),
      ({ mirror }) => renameSync(`${mirror}.checkpoint`, `${mirror}.away`),
    ],
  ])('%s: told once, calls go on, and it catches up', async (_name, spoil, mend) => {
    const where = place();
    spoil(where);
    const store = start(where);
    await vi.waitFor(() => expect(where.errors.length).toBe(1), { timeout: 20_000 });
    await calls(store);
    await new Promise((done) => setTimeout(done, 700));
    expect(where.errors.map(({ code }) => code)).toEqual(['MIRROR_FAILED']);
    mend(where);
    await vi.waitFor(() => expectSame(where), { timeout: 20_000, interval: 100 });
    await store.close();
    expect(where.errors).toHaveLength(1);
  });

  it.each(['ENOSPC', 'EIO'])('%s in the middle of a line: what was written goes again, and nothing is recorded', async (code) => {
    const where = made();
    await session(where);
    const handle = await open(where.mirror, 'r');
    const prototype = Object.getPrototypeOf(handle) as { write: (...args: unknown[]) => Promise<unknown> };
    await handle.close();
    const real = prototype.write;
    let left = 3;
    const spy = vi.spyOn(prototype, 'write').mockImplementation(async function (this: unknown, ...args: unknown[]) {
      const [bytes, offset, , position] = args as [Buffer, number, number, number];
      if (bytes.length < 100 || left-- <= 0) return real.apply(this, args);
      await real.call(this, bytes, offset, 50, position);
      throw Object.assign(new Error('no room'), { code });
    });
    onTestFinished(() => spy.mockRestore());
    const store = start(where);
    await calls(store);
    await vi.waitFor(() => expect(where.errors).toMatchObject([{ code: 'MIRROR_FAILED' }]), { timeout: 20_000 });
    await vi.waitFor(() => expectSame(where), { timeout: 20_000, interval: 100 });
    await store.close();
    expect(left).toBeLessThanOrEqual(0);
    expect(cuts(where)).toEqual([]);
  });

  it('while somebody else has its lock, nothing is wrong; it waits', async () => {
    const where = made();
    const lock = takeMirrorLock(`${where.mirror}.lock`);
    expect(lock).toBeDefined();
    expect(takeMirrorLock(`${where.mirror}.lock`)).toBeUndefined();
    const store = start(where);
    await calls(store);
    await new Promise((done) => setTimeout(done, 400));
    expect(existsSync(where.mirror)).toBe(false);
    lock?.release();
    await vi.waitFor(() => expectSame(where), { timeout: 20_000 });
    await store.close();
    expect(where.errors).toEqual([]);
  });

  it('warns by itself when nobody listens', async () => {
    const where = place();
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    onTestFinished(() => warned.mockRestore());
    const store = openLedger(where.ledger, { mirror: { path: where.mirror } });
    await vi.waitFor(() => expect(warned).toHaveBeenCalledWith(expect.any(String), expect.objectContaining({ code: 'MIRROR_FAILED' })), {
      timeout: 20_000,
    });
    await store.close();
  });
});
