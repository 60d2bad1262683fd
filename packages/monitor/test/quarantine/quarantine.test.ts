import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainmentRecord } from '@countersign/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { find, Left, moveInto } from '../../src/quarantine/move.ts';
import { type Place, placeOf } from '../../src/quarantine/place.ts';
import { type Quarantine, type QuarantineOptions, quarantine } from '../../src/quarantine/quarantine.ts';
import { recordRestored, rollbackDetails } from '../../src/quarantine/record.ts';
import { isRollback, MAX_ROLLBACK_ITEMS, type RollbackItem, recordedFiles } from '../../src/quarantine/rollback.ts';
import { MAX_WRITTEN_FILES, type WrittenFile } from '../../src/quarantine/written-files.ts';

const ABOUT = { incident: 'ab'.repeat(16), session: 's1' };
const SHM = '/dev/shm';

function folder(under = tmpdir()): string {
  const path = realpathSync(mkdtempSync(join(under, 'countersign-quarantine-')));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Scene {
  readonly work: string;
  readonly kept: string;
  readonly quarantine: Quarantine;
}

function scene(options: Partial<QuarantineOptions> & { readonly under?: string } = {}): Scene {
  const { under, ...more } = options;
  const kept = join(folder(), 'kept');
  return { work: folder(under), kept, quarantine: quarantine({ folder: kept, startedAt: Date.now() - 60_000, ...more }) };
}

function written(path: string, more: Partial<WrittenFile> = {}): WrittenFile {
  return { path, existed: false, at: 1, seq: 7, by: { pid: 4711, start: 1, exe: '/usr/bin/node' }, ...more };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

describe('taking', () => {
  it('moves a file, says what it was, and lets nobody else see it', async () => {
    const { work, kept, quarantine: q } = scene();
    const path = join(work, 'evil.sh');
    writeFileSync(path, '#!/bin/sh\n', { mode: 0o755 });
    utimesSync(path, 1_700_000_000, 1_700_000_000.25);
    const result = await q.take([written(path)], { ...ABOUT, irreversible: { deletions: 3, connections: 2 } });
    expect(result).toMatchObject({ quarantined: 1, left: 0, deletions: 3, connections: 2 });
    const [item] = result.items;
    const hash: unknown = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(item).toEqual({ path, id: item?.id, size: 10, sha256: sha256('#!/bin/sh\n'), manifest: hash });
    expect(existsSync(path)).toBe(false);
    const own = join(kept, item?.id ?? '');
    expect(readFileSync(join(own, 'content'), 'utf8')).toBe('#!/bin/sh\n');
    expect([statSync(kept).mode & 0o777, statSync(own).mode & 0o777, statSync(join(own, 'manifest.json')).mode & 0o777]).toEqual([
      0o700, 0o700, 0o600,
    ]);
    expect(readdirSync(own).toSorted()).toEqual(['content', 'manifest.json']);
    expect(JSON.parse(readFileSync(join(own, 'manifest.json'), 'utf8'))).toMatchObject({
      v: 1,
      state: 'kept',
      kind: 'file',
      path,
      incident: ABOUT.incident,
      session: 's1',
      mode: 0o755,
      mtime_ns: '1700000000250000000',
      size: 10,
      links: 1,
      seq: 7,
      by: { pid: 4711, start: 1, exe: '/usr/bin/node' },
    });
  });

  it.each([
    ['with a newline\nand \u001b[31m escapes'],
    ['-rf'],
    [' '],
    ['\u202egnp.exe'],
    ['\u65e5\u672c'],
    ['x'.repeat(255)],
    ['manifest.json'],
  ])('a name like %j', async (name) => {
    const { work, quarantine: q } = scene();
    const path = join(work, name);
    writeFileSync(path, 'x');
    const result = await q.take([written(path)], ABOUT);
    expect(result.quarantined).toBe(1);
    expect(result.items[0]?.path).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    await q.restore(result.items[0]?.id ?? '', 'unrecorded');
    expect(readFileSync(path, 'utf8')).toBe('x');
  });

  it('moves a link itself and never follows it', async () => {
    const { work, quarantine: q } = scene();
    const target = join(folder(), 'precious');
    writeFileSync(target, 'precious');
    const path = join(work, 'link');
    symlinkSync(target, path);
    const { items } = await q.take([written(path)], ABOUT);
    expect(items[0]).toMatchObject({ path, id: expect.any(String) });
    expect(items[0]).toMatchObject({ sha256: sha256(target) });
    expect([existsSync(path), readFileSync(target, 'utf8')]).toEqual([false, 'precious']);
    await q.restore(items[0]?.id ?? '', 'unrecorded');
    expect(readlinkSync(path)).toBe(target);
  });

  it('takes one name of a file and leaves the others, with their mode', async () => {
    const { work, kept, quarantine: q } = scene();
    const other = join(work, 'other');
    writeFileSync(other, 'x', { mode: 0o644 });
    const path = join(work, 'name');
    linkSync(other, path);
    const { items } = await q.take([written(path)], ABOUT);
    expect(JSON.parse(readFileSync(join(kept, items[0]?.id ?? '', 'manifest.json'), 'utf8'))).toMatchObject({ links: 2 });
    expect([existsSync(path), readFileSync(other, 'utf8'), statSync(other).mode & 0o777]).toEqual([false, 'x', 0o644]);
  });

  it('takes a name of a file that was there before for a file that was there before', async () => {
    const { work, quarantine: q } = scene({ startedAt: Date.now() + 60_000 });
    const path = join(work, 'name');
    writeFileSync(path, 'x');
    expect((await q.take([written(path)], ABOUT)).items).toEqual([{ path, left: 'existed' }]);
    expect(readFileSync(path, 'utf8')).toBe('x');
  });

  it.each([
    ['was there before', { existed: true }],
    ['came there under another name', { existed: undefined, renamed: true }],
    ['came there under another name, new', { existed: false, renamed: true }],
  ] as const)('leaves what %s', async (_, more) => {
    const { work, quarantine: q } = scene();
    const path = join(work, 'a');
    writeFileSync(path, 'x');
    expect(await q.take([written(path, more)], ABOUT)).toMatchObject({ quarantined: 0, left: 1, items: [{ path, left: 'existed' }] });
    expect(readFileSync(path, 'utf8')).toBe('x');
  });

  it('takes what nobody saw made by its birth, where the file system tells', async () => {
    const startedAt = Date.now();
    const old = scene({ startedAt: startedAt + 60_000 });
    const fresh = scene({ startedAt: startedAt - 60_000 });
    for (const { work } of [old, fresh]) writeFileSync(join(work, 'a'), 'x');
    expect(await old.quarantine.take([written(join(old.work, 'a'), { existed: undefined })], ABOUT)).toMatchObject({
      quarantined: 0,
      left: 1,
    });
    const told = lstatSync(join(fresh.work, 'a'), { bigint: true }).birthtimeNs > 0n;
    expect(await fresh.quarantine.take([written(join(fresh.work, 'a'), { existed: undefined })], ABOUT)).toMatchObject({
      quarantined: told ? 1 : 0,
    });
  });

  it.each([
    ['gone', (work: string) => join(work, 'nothing')],
    ['gone', (work: string) => join(work, 'no', 'folder')],
    ['not-a-file', (work: string) => (mkdirSync(join(work, 'd')), join(work, 'd'))],
    ['not-a-file', (work: string) => (execFileSync('mkfifo', [join(work, 'pipe')]), join(work, 'pipe'))],
    ['linked', (work: string) => (writeFileSync(join(work, 'a'), 'x'), symlinkSync(work, join(work, 'l')), join(work, 'l', 'a'))],
    ['linked', (work: string) => (writeFileSync(join(work, 'a'), 'x'), `${work}/./a`)],
    ['linked', (work: string) => (mkdirSync(join(work, 'd')), writeFileSync(join(work, 'a'), 'x'), `${work}/d/../a`)],
    ['linked', () => 'a'],
    ['linked', () => ''],
    ['linked', (work: string) => `${work}/a\0b`],
    ['linked', (work: string) => `${work}/${'x/'.repeat(3_000)}a`],
    ['linked', (work: string) => (writeFileSync(join(work, 'f'), 'x'), join(work, 'f', 'a'))],
    ['failed', (work: string) => join(work, 'x'.repeat(256))],
  ] as readonly (readonly [string, (work: string) => string])[])('leaves what is %s', async (left, make) => {
    const { work, kept, quarantine: q } = scene();
    const path = make(work);
    const before = readdirSync(work).toSorted();
    const result = await q.take([written(path)], ABOUT);
    expect(result).toMatchObject({ quarantined: 0, left: 1, items: [{ left }] });
    expect(readdirSync(work).toSorted()).toEqual(before);
    expect(readdirSync(kept)).toEqual([]);
  });

  it('leaves sockets', async () => {
    const { work, quarantine: q } = scene();
    const path = join(work, 's');
    const server = createServer().listen(path);
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    expect((await q.take([written(path)], ABOUT)).items).toEqual([{ path, left: 'not-a-file' }]);
  });

  it('leaves what is ours, whatever it is told', async () => {
    const own = folder();
    const { kept, quarantine: q } = scene({ own: [own, join(own, '..', 'ledger.db')] });
    mkdirSync(kept, { mode: 0o700 });
    for (const path of [join(own, 'a'), join(kept, 'b')]) writeFileSync(path, 'x');
    const { items } = await q.take([written(join(own, 'a')), written(own), written(join(kept, 'b'))], ABOUT);
    expect(items.map(({ left }) => left)).toEqual(['own', 'own', 'own']);
    expect(existsSync(join(own, 'a'))).toBe(true);
  });

  it('moves a large file but does not read it to its end, and says how large it is', async () => {
    const { work, quarantine: q } = scene({ maxBytes: 1_000 });
    const path = join(work, 'large');
    writeFileSync(path, '');
    truncateSync(path, 10 * 1024 ** 3);
    const { items } = await q.take([written(path)], ABOUT);
    expect(items).toEqual([{ path, id: items[0]?.id, size: 10 * 1024 ** 3, manifest: items[0]?.manifest }]);
    await q.restore(items[0]?.id ?? '', 'unrecorded');
    expect(statSync(path).size).toBe(10 * 1024 ** 3);
  });

  it('goes on after one that cannot be taken, and has a bound on what it lists', async () => {
    const { work, quarantine: q } = scene();
    const paths = Array.from({ length: MAX_ROLLBACK_ITEMS + 20 }, (_, i) => join(work, `f${i}`));
    for (const path of paths.slice(0, 2)) writeFileSync(path, 'x');
    const result = await q.take([...paths.map((path) => written(path)).toReversed()], { ...ABOUT, missed: 5 });
    expect(result).toMatchObject({ quarantined: 2, left: paths.length - 2 + 5 });
    expect(result.items).toHaveLength(MAX_ROLLBACK_ITEMS);
    expect(result.items.slice(0, 2).every(({ id }) => id !== undefined)).toBe(true);
    expect(MAX_WRITTEN_FILES).toBeGreaterThan(MAX_ROLLBACK_ITEMS);
  });

  it('refuses a folder that others may write to, or that is none', async () => {
    const { work, kept, quarantine: q } = scene();
    writeFileSync(join(work, 'a'), 'x');
    mkdirSync(kept);
    chmodSync(kept, 0o777);
    await expect(q.take([written(join(work, 'a'))], ABOUT)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    rmSync(kept, { recursive: true });
    symlinkSync(work, kept);
    await expect(q.take([written(join(work, 'a'))], ABOUT)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    expect(existsSync(join(work, 'a'))).toBe(true);
    for (const wrong of [{ folder: 'relative' }, { maxBytes: -1 }, { maxBytes: Number.NaN }]) {
      expect(() => quarantine({ folder: '/q', startedAt: 0, ...wrong })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    }
  });

  it('does nothing and makes nothing when nothing was written', async () => {
    const { kept, quarantine: q } = scene();
    expect(await q.take([], ABOUT)).toMatchObject({ quarantined: 0, left: 0, items: [] });
    expect(existsSync(kept)).toBe(false);
    expect(await q.list()).toEqual([]);
  });

  it('shows no secret that is part of a path', async () => {
    const { work, quarantine: q } = scene();
    const path = join(work, `sk-ant-api03-${'A1b2'.repeat(24)}`);
    writeFileSync(path, 'x');
    const { items } = await q.take([written(path)], ABOUT);
    expect(items[0]?.id).toBeDefined();
    expect(items[0]?.path).not.toContain('A1b2A1b2');
  });
});

describe('while somebody works against it', () => {
  const LIMITS = { maxCopyBytes: 1_000_000, maxHashBytes: 1_000_000 };

  async function ready(under?: string): Promise<{ readonly path: string; readonly place: Place; readonly into: string }> {
    const path = join(folder(under), 'a');
    writeFileSync(path, 'checked');
    const place = await placeOf(path);
    if (typeof place === 'string') throw new Error(place);
    onTestFinished(() => place.close());
    return { path, place, into: folder() };
  }

  async function leftOf(work: Promise<unknown>): Promise<string> {
    const error = await work.then(() => undefined).catch((failure: unknown) => failure);
    if (!(error instanceof Left)) throw new Error('was not left', { cause: error });
    return error.reason;
  }

  const swaps: readonly (readonly [string, (path: string) => void])[] = [
    ['another file', (path) => (rmSync(path), writeFileSync(path, 'swapped'))],
    ['a link', (path) => (rmSync(path), symlinkSync('/etc/hostname', path))],
    ['a folder', (path) => (rmSync(path), mkdirSync(path))],
  ];

  for (const [device, under] of [
    ['on one device', undefined],
    ['between devices', SHM],
  ] as const) {
    describe.skipIf(under !== undefined && !isOtherDevice(under))(`${device}`, () => {
      it.each(swaps)('puts back %s that took its place after the look', async (_, swap) => {
        const { path, place, into } = await ready(under);
        const found = await find(place);
        onTestFinished(() => found.file?.close());
        swap(path);
        const is = lstatSync(path);
        expect(await leftOf(moveInto(into, place, found, LIMITS))).toBe('changed');
        expect(lstatSync(path).ino).toBe(is.ino);
        expect(readdirSync(into)).toEqual([]);
        expect(readdirSync(join(path, '..'))).toEqual(['a']);
      });

      it('leaves what went meanwhile', async () => {
        const { path, place, into } = await ready(under);
        const found = await find(place);
        onTestFinished(() => found.file?.close());
        rmSync(path);
        expect(await leftOf(moveInto(into, place, found, LIMITS))).toBe('gone');
        expect(readdirSync(into)).toEqual([]);
      });
    });
  }

  it.skipIf(process.platform !== 'linux')('stays in the folder it looked at when a link takes the place of that', async () => {
    const { path, place, into } = await ready();
    const parent = join(path, '..');
    const victim = folder();
    writeFileSync(join(victim, 'a'), 'victim');
    const found = await find(place);
    onTestFinished(() => found.file?.close());
    renameSync(parent, `${parent}-moved`);
    onTestFinished(() => rmSync(`${parent}-moved`, { recursive: true, force: true }));
    symlinkSync(victim, parent);
    await moveInto(into, place, found, LIMITS);
    expect(readFileSync(join(victim, 'a'), 'utf8')).toBe('victim');
    expect(readFileSync(join(into, 'content'), 'utf8')).toBe('checked');
  });

  describe('in the folders above the quarantine', () => {
    /** `<state>/log/kept`, reached by a link that was there before the session, as a home or /tmp may be. */
    function above(): { readonly state: string; readonly work: string; readonly elsewhere: string; readonly make: () => Quarantine } {
      const [state, work, elsewhere, link] = [folder(), folder(), folder(), join(folder(), 'link')];
      symlinkSync(state, link);
      mkdirSync(join(state, 'log'));
      writeFileSync(join(work, 'a'), 'x');
      return { state, work, elsewhere, make: () => quarantine({ folder: join(link, 'log', 'kept'), startedAt: Date.now() - 60_000 }) };
    }

    it('a link that was there before is followed', async () => {
      const { state, work, make } = above();
      expect(await make().take([written(join(work, 'a'))], ABOUT)).toMatchObject({ quarantined: 1 });
      expect(await make().list()).toHaveLength(1);
      expect(readdirSync(join(state, 'log', 'kept'))).toHaveLength(1);
    });

    it('another link there by now leads nothing elsewhere', async () => {
      const { state, work, elsewhere, make } = above();
      const q = make();
      renameSync(join(state, 'log'), join(state, 'log-moved'));
      symlinkSync(elsewhere, join(state, 'log'));
      await expect(q.take([written(join(work, 'a'))], ABOUT)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
      expect(readFileSync(join(work, 'a'), 'utf8')).toBe('x');
      // At most an empty folder was made there.
      expect(readdirSync(elsewhere).flatMap((name) => readdirSync(join(elsewhere, name)))).toEqual([]);
    });

    it('nothing is put back from, or written, where such a link leads', async () => {
      const { state, work, elsewhere, make } = above();
      const q = make();
      const { items } = await q.take([written(join(work, 'a'))], ABOUT);
      renameSync(join(state, 'log'), join(elsewhere, 'log'));
      symlinkSync(join(elsewhere, 'log'), join(state, 'log'));
      await expect(q.restore(items[0]?.id ?? '', 'unrecorded')).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
      expect(existsSync(join(work, 'a'))).toBe(false);
    });

    it.skipIf(process.platform !== 'linux')('a link that is laid while files are taken leads the rest nowhere', async () => {
      const { state, work, elsewhere, make } = above();
      const files = Array.from({ length: 40 }, (_, i) => join(work, `f${i}`));
      for (const file of files) writeFileSync(file, 'x');
      const taking = make().take(
        files.map((file) => written(file)),
        ABOUT,
      );
      const kept = join(state, 'log', 'kept');
      while (!existsSync(kept) || readdirSync(kept).length < 3) await new Promise(setImmediate);
      renameSync(join(state, 'log'), join(state, 'log-moved'));
      symlinkSync(elsewhere, join(state, 'log'));
      const { quarantined, left } = await taking;
      expect(quarantined).toBeGreaterThan(0);
      expect([quarantined + left, files.filter((file) => existsSync(file)).length]).toEqual([files.length, left]);
      expect(readdirSync(elsewhere)).toEqual([]);
    });
  });

  it('does not look through a link that was laid there, and does not wait for a pipe', async () => {
    const { path, place } = await ready();
    rmSync(path);
    execFileSync('mkfifo', [path]);
    expect(await leftOf(find(place))).toBe('not-a-file');
  });

  it('hashes what it is in the end when somebody still writes', async () => {
    const { work, kept, quarantine: q } = scene();
    const path = join(work, 'log');
    writeFileSync(path, 'one');
    const { items } = await q.take([written(path)], ABOUT);
    const content = join(kept, items[0]?.id ?? '', 'content');
    writeFileSync(content, 'another');
    await expect(q.restore(items[0]?.id ?? '', 'unrecorded')).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
    writeFileSync(content, 'eno');
    await expect(q.restore(items[0]?.id ?? '', 'unrecorded')).rejects.toMatchObject({
      message: expect.stringContaining('is not what was put there'),
    });
    expect(existsSync(path)).toBe(false);
  });
});

describe.skipIf(!isOtherDevice(SHM))('between file systems', () => {
  it('copies with mode and times, and puts it back as it was', async () => {
    const { work, kept, quarantine: q } = scene({ under: SHM });
    const path = join(work, 'a');
    writeFileSync(path, 'x'.repeat(3_000_000), { mode: 0o640 });
    utimesSync(path, 1_700_000_000, 1_700_000_000.25);
    const before = statSync(path);
    const { items } = await q.take([written(path)], ABOUT);
    expect(items[0]).toMatchObject({ size: 3_000_000, sha256: sha256('x'.repeat(3_000_000)) });
    expect(readdirSync(work)).toEqual([]);
    expect(statSync(join(kept, items[0]?.id ?? '', 'content')).mode & 0o777).toBe(0o600);
    await q.restore(items[0]?.id ?? '', 'unrecorded');
    const after = statSync(path);
    expect([after.mode, after.size, after.mtimeMs, after.uid, after.gid]).toEqual([
      before.mode,
      before.size,
      before.mtimeMs,
      before.uid,
      before.gid,
    ]);
    expect(readFileSync(path, 'utf8')).toBe('x'.repeat(3_000_000));
  });

  it('does not copy beyond its limit, and leaves no part of it', async () => {
    const { work, kept, quarantine: q } = scene({ under: SHM, maxBytes: 99 });
    writeFileSync(join(work, 'a'), 'x'.repeat(100));
    writeFileSync(join(work, 'b'), 'x'.repeat(99));
    const result = await q.take([written(join(work, 'a')), written(join(work, 'b'))], ABOUT);
    expect(result.items.map(({ left }) => left)).toEqual([undefined, 'too-large']);
    expect(readdirSync(work)).toEqual(['a']);
    expect(readdirSync(kept)).toHaveLength(1);
  });

  it('moves a link as the link it is', async () => {
    const { work, quarantine: q } = scene({ under: SHM });
    symlinkSync('/etc/hostname', join(work, 'l'));
    const { items } = await q.take([written(join(work, 'l'))], ABOUT);
    expect(readdirSync(work)).toEqual([]);
    await q.restore(items[0]?.id ?? '', 'unrecorded');
    expect(readlinkSync(join(work, 'l'))).toBe('/etc/hostname');
  });

  it('overwrites nothing when it puts back', async () => {
    const { work, quarantine: q } = scene({ under: SHM });
    writeFileSync(join(work, 'a'), 'x');
    const { items } = await q.take([written(join(work, 'a'))], ABOUT);
    writeFileSync(join(work, 'a'), 'newer');
    await expect(q.restore(items[0]?.id ?? '', 'unrecorded')).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
    expect(readFileSync(join(work, 'a'), 'utf8')).toBe('newer');
  });
});

describe('putting back', () => {
  async function taken(): Promise<Scene & { readonly path: string; readonly id: string }> {
    const made = scene();
    const path = join(made.work, 'a');
    writeFileSync(path, 'x', { mode: 0o711 });
    utimesSync(path, 1_600_000_000, 1_600_000_000.125);
    const { items } = await made.quarantine.take([written(path)], ABOUT);
    return { ...made, path, id: items[0]?.id ?? '' };
  }

  it('gives it back exactly, once, and keeps the manifest', async () => {
    const { path, id, kept, quarantine: q } = await taken();
    expect(await q.restore(id, 'unrecorded')).toMatchObject({ id, path, state: 'restored', restored_at: expect.any(Number) });
    const stats = statSync(path);
    expect([readFileSync(path, 'utf8'), stats.mode & 0o7777, stats.mtimeMs]).toEqual(['x', 0o711, 1_600_000_000_125]);
    expect(readdirSync(join(kept, id))).toEqual(['manifest.json']);
    await expect(q.restore(id, 'unrecorded')).rejects.toMatchObject({
      code: 'QUARANTINE_REFUSED',
      message: expect.stringContaining('already'),
    });
  });

  it('puts back also what an interrupted move left behind its first manifest', async () => {
    const { path, id, kept, quarantine: q } = await taken();
    const manifest = join(kept, id, 'manifest.json');
    const { sha256: _, ...planned } = JSON.parse(readFileSync(manifest, 'utf8')) as Record<string, unknown>;
    writeFileSync(manifest, JSON.stringify({ ...planned, state: 'planned' }));
    await q.restore(id, 'unrecorded');
    expect(readFileSync(path, 'utf8')).toBe('x');
  });

  it.each([
    ['something else is there', (s: { path: string }) => writeFileSync(s.path, 'newer')],
    ['a dangling link is there', (s: { path: string }) => symlinkSync('/nonexistent', s.path)],
    ['its folder is gone', (s: { work: string }) => rmSync(s.work, { recursive: true })],
    [
      'a link took the place of its folder',
      (s: { work: string }) => {
        rmSync(s.work, { recursive: true });
        symlinkSync(folder(), s.work);
      },
    ],
    ['its content is gone', (s: { kept: string; id: string }) => rmSync(join(s.kept, s.id, 'content'))],
    [
      'its content is a link',
      (s: { kept: string; id: string }) => {
        rmSync(join(s.kept, s.id, 'content'));
        symlinkSync('/etc/hostname', join(s.kept, s.id, 'content'));
      },
    ],
    ['its content is another', (s: { kept: string; id: string }) => writeFileSync(join(s.kept, s.id, 'content'), 'y')],
    ['its manifest is broken', (s: { kept: string; id: string }) => writeFileSync(join(s.kept, s.id, 'manifest.json'), '{')],
    ['its manifest is huge', (s: { kept: string; id: string }) => writeFileSync(join(s.kept, s.id, 'manifest.json'), ' '.repeat(70_000))],
    ['its manifest is of another', (s: { kept: string; id: string }) => edit(s, { id: 'cd'.repeat(16) })],
    ['its path is relative', (s: { kept: string; id: string }) => edit(s, { path: 'a' })],
    ['its version is another', (s: { kept: string; id: string }) => edit(s, { v: 2 })],
    ['its hash is no hash', (s: { kept: string; id: string }) => edit(s, { sha256: 'x' })],
  ] as readonly (readonly [string, (scene: { path: string; work: string; kept: string; id: string }) => void])[])(
    'refuses when %s, and changes nothing',
    async (_, spoil) => {
      const made = await taken();
      spoil(made);
      const before = existsSync(made.path) ? readFileSync(made.path, 'utf8') : undefined;
      await expect(made.quarantine.restore(made.id, 'unrecorded')).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
      expect(existsSync(made.path) ? readFileSync(made.path, 'utf8') : undefined).toBe(before);
    },
  );

  it.each(['', '..', '../..', 'ab', 'AB'.repeat(16), 'ab'.repeat(16), `${'ab'.repeat(16)}/`, '__proto__', `ab\u001b[31m`])(
    'knows no %j',
    async (id) => {
      const { quarantine: q } = await taken();
      const failure = await q.restore(id, 'unrecorded').catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'QUARANTINE_REFUSED' });
      expect((failure as Error).message).not.toMatch(/[\p{Cc}]/u);
    },
  );

  it('writes its manifest through no link that was laid there', async () => {
    const { work, kept, quarantine: q } = scene();
    const path = join(work, 'a');
    const victim = join(work, 'victim');
    writeFileSync(path, 'a');
    writeFileSync(victim, 'theirs');
    const { items } = await q.take([written(path)], ABOUT);
    const id = items[0]?.id ?? '';
    symlinkSync(victim, join(kept, id, '.manifest.json.new'));
    await q.restore(id, 'unrecorded');
    expect(readFileSync(victim, 'utf8')).toBe('theirs');
    expect(readFileSync(path, 'utf8')).toBe('a');
  });

  it('waits for no pipe that was laid in the place of a manifest', async () => {
    const { work, kept, quarantine: q } = scene();
    const path = join(work, 'a');
    writeFileSync(path, 'a');
    const { items } = await q.take([written(path)], ABOUT);
    const id = items[0]?.id ?? '';
    const manifest = join(kept, id, 'manifest.json');
    rmSync(manifest);
    execFileSync('mkfifo', [manifest]);
    expect(await q.list()).toEqual([]);
    await expect(q.restore(id, 'unrecorded')).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
  });

  it('lists what there is, and passes over what is not ours', async () => {
    const { id, kept, quarantine: q } = await taken();
    mkdirSync(join(kept, 'ef'.repeat(16)));
    writeFileSync(join(kept, 'note.txt'), 'x');
    expect((await q.list()).map((each) => each.id)).toEqual([id]);
  });
});

describe('putting back what the ledger tells of', () => {
  async function recorded(path?: string) {
    const made = scene();
    const at = path ?? join(made.work, 'a');
    if (path === undefined) writeFileSync(at, 'x', { mode: 0o755 });
    const { items } = await made.quarantine.take([written(at)], ABOUT);
    const item = items[0] as RollbackItem;
    return { ...made, path: at, id: item.id ?? '', item, own: join(made.kept, item.id ?? '') };
  }
  type Made = Awaited<ReturnType<typeof recorded>>;

  it('gives back what is as it was', async () => {
    const { quarantine: q, id, item, path } = await recorded();
    await q.restore(id, { ...ABOUT, item });
    expect(readFileSync(path, 'utf8')).toBe('x');
  });

  it.each([
    ['another path', { path: '/tmp/countersign-elsewhere' }],
    ['a path that climbs', { path: '/tmp/../tmp/countersign-elsewhere' }],
    ['a path beside it', (s: Made) => ({ path: join(s.work, 'b') })],
    ['another kind', { kind: 'link' }],
    ['the set-user bit', { mode: 0o4755 }],
    ['another owner', { uid: 0, gid: 12_345 }],
    ['another size', { size: 2 }],
    ['another hash', { sha256: sha256('y') }],
    ['another incident', { incident: 'cd'.repeat(16) }],
    ['another session', { session: 's2' }],
    ['another time', { mtime_ns: '1' }],
    ['another salt', { salt: '00'.repeat(16) }],
    ['a member more', { hidden: true }],
  ] as readonly (readonly [string, object | ((s: Made) => object)])[])('refuses a manifest with %s', async (_, change) => {
    const made = await recorded();
    edit(made, typeof change === 'function' ? change(made) : change);
    const refusal = made.quarantine.restore(made.id, { ...ABOUT, item: made.item });
    await expect(refusal).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
    expect([readdirSync(made.work), existsSync('/tmp/countersign-elsewhere'), readdirSync(made.own).length]).toEqual([[], false, 2]);
  });

  it.each([
    ['another path', (s: Made) => edit(s, { path: join(s.work, 'b') })],
    ['another size', (s: Made) => edit(s, { size: 2 })],
    ['other content, and its hash', (s: Made) => (edit(s, { sha256: sha256('y') }), writeFileSync(join(s.own, 'content'), 'y'))],
    ['no hash', (s: Made) => edit(s, { sha256: undefined })],
  ])('refuses, of a version that recorded no hash of the manifest, %s', async (_, spoil) => {
    const made = await recorded();
    spoil(made);
    const { manifest: _hash, ...item } = made.item;
    const refusal = made.quarantine.restore(made.id, { ...ABOUT, item });
    await expect(refusal).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED', message: expect.stringContaining('edited') });
    expect(readdirSync(made.work)).toEqual([]);
  });

  it('refuses the manifest and content of another file that was put aside, under this id', async () => {
    const made = await recorded();
    const other = join(made.work, 'other');
    writeFileSync(other, 'other');
    const { items } = await made.quarantine.take([written(other)], ABOUT);
    rmSync(made.own, { recursive: true });
    renameSync(join(made.kept, items[0]?.id ?? ''), made.own);
    await expect(made.quarantine.restore(made.id, { ...ABOUT, item: made.item })).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
    edit(made, { id: made.id });
    await expect(made.quarantine.restore(made.id, { ...ABOUT, item: made.item })).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
    expect(readdirSync(made.work)).toEqual([]);
  });

  it.each([
    ['content of the same length', (s: Made) => writeFileSync(join(s.own, 'content'), 'y')],
    ['the set-user bit on the content', (s: Made) => chmodSync(join(s.own, 'content'), 0o4755)],
    [
      'a link in the place of its folder',
      (s: Made) => {
        renameSync(s.own, join(s.work, 'away'));
        symlinkSync(join(s.work, 'away'), s.own);
      },
    ],
  ])('refuses %s', async (_, spoil) => {
    const made = await recorded();
    spoil(made);
    await expect(made.quarantine.restore(made.id, { ...ABOUT, item: made.item })).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
    expect(existsSync(made.path)).toBe(false);
  });

  it('refuses a link that leads elsewhere by now', async () => {
    const at = join(folder(), 'l');
    symlinkSync('/etc/hostname', at);
    const made = await recorded(at);
    rmSync(join(made.own, 'content'));
    symlinkSync('/etc/passwd!!!'.slice(0, 13), join(made.own, 'content'));
    await expect(made.quarantine.restore(made.id, { ...ABOUT, item: made.item })).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED' });
  });

  it('refuses what nothing tells the content of', async () => {
    const made = scene({ maxBytes: 1 });
    const path = join(made.work, 'a');
    writeFileSync(path, 'xy');
    const { items } = await made.quarantine.take([written(path)], ABOUT);
    const item = items[0] as RollbackItem;
    const refusal = made.quarantine.restore(item.id ?? '', { ...ABOUT, item });
    await expect(refusal).rejects.toMatchObject({ code: 'QUARANTINE_REFUSED', message: expect.stringContaining('--unrecorded') });
    expect(readdirSync(made.work)).toEqual([]);
  });

  it('has it on record under a name that gives nothing away', async () => {
    const work = folder();
    const path = join(work, 'ghp_0123456789abcdefghijABCDEFGHIJ012345');
    writeFileSync(path, 'x');
    const { kept, id, item } = await recorded(path);
    expect(item.path).not.toContain('ghp_0123');
    const manifest = readFileSync(join(kept, id, 'manifest.json'), 'utf8');
    expect(JSON.parse(manifest)).toMatchObject({ salt: expect.stringMatching(/^[0-9a-f]{32}$/) });
  });
});

describe('on record', () => {
  it.each([null, 'x', [], {}, { rollback: 1 }, { rollback: { files: {} } }, { files: [null, 1, {}, { path: 1 }] }, { __proto__: [] }])(
    'tells of no file in %j',
    (details) => {
      expect(recordedFiles(details)).toEqual([]);
    },
  );

  it('is found in what a kill and what a restore recorded', async () => {
    const { work, quarantine: q } = scene();
    writeFileSync(join(work, 'a'), 'x');
    const result = await q.take([written(join(work, 'a'))], ABOUT);
    expect(recordedFiles({ by: 'rule', rollback: rollbackDetails(result) })).toEqual(result.items);
    expect(recordedFiles(rollbackDetails(result))).toEqual(result.items);
  });

  it('has counts in the entry, and paths in its opening', async () => {
    const { work, quarantine: q } = scene();
    writeFileSync(join(work, 'a'), 'x');
    const records: ContainmentRecord[] = [];
    const host = {
      record: async (record) => {
        records.push(record as ContainmentRecord);
        return { of: 0, leaf: '' };
      },
    } satisfies Parameters<typeof recordRestored>[0];
    const result = await q.take([written(join(work, 'a')), written(join(work, 'b'))], ABOUT);
    expect(rollbackDetails(result)).toEqual({
      files: [
        { path: join(work, 'a'), id: expect.any(String), size: 1, sha256: sha256('x'), manifest: expect.any(String) },
        { path: join(work, 'b'), left: 'gone' },
      ],
      deletions: 0,
      connections: 0,
    });
    await recordRestored(host, await q.restore(result.items[0]?.id ?? '', 'unrecorded'));
    expect(records).toMatchObject([
      { kind: 'containment', event: 'restored', ...ABOUT, count: 1, details: { files: [{ path: join(work, 'a') }] } },
    ]);
  });

  it('is read back from an incident, and nothing else is', () => {
    const good = { quarantined: 1, left: 0, items: [{ path: '/a', id: 'x' }], deletions: 0, connections: 0, duration_ms: 1 };
    expect(isRollback(good)).toBe(true);
    for (const bad of [
      null,
      [],
      { ...good, left: -1 },
      { ...good, items: [{}] },
      { ...good, items: [{ path: '/a', left: 'why' }] },
      { ...good, items: 1 },
    ]) {
      expect(isRollback(bad), JSON.stringify(bad)).toBe(false);
    }
  });
});

function edit({ kept, id }: { readonly kept: string; readonly id: string }, changes: object): void {
  const path = join(kept, id, 'manifest.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
}

/** Linux has a file system of its own there; elsewhere these tests say that they were skipped. */
function isOtherDevice(path: string): boolean {
  return existsSync(path) && statSync(path).dev !== statSync(tmpdir()).dev;
}
