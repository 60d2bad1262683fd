/** Whether the path still leads to the files that were opened, when their folder stood still for long before it was looked at. */
import {
  type BigIntStats,
  copyFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type IdentitySources, LedgerFiles } from '../../src/sqlite/identity.ts';
import { tempDirectory } from '../fixtures/ledger.ts';

const HOUR_MS = 3_600_000;
/** Longer than a tick of the clock that files are stamped with. */
const TICK_MS = 50;

const LONG_AGO_S = 1_000_000_000;

const look = (path: string): BigIntStats | undefined => statSync(path, { bigint: true, throwIfNoEntry: false });

function checkOf(path: string, opened: BigIntStats, sources: Omit<IdentitySources, 'isOpen'>): () => void {
  const files = new LedgerFiles(path, opened, { isOpen: () => true, ...sources });
  return () => files.check();
}

function files(): string {
  const path = join(tempDirectory(), 'in', 'ledger.db');
  mkdirSync(dirname(path));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) writeFileSync(file, '');
  utimesSync(dirname(path), LONG_AGO_S, LONG_AGO_S);
  return path;
}

/** @param aheadMs - how much later than it is the folder is looked at. */
function opened(aheadMs: number): { readonly path: string; readonly check: () => void } {
  const path = files();
  const check = checkOf(path, statSync(path, { bigint: true }), { nowMs: () => Date.now() + aheadMs, look });
  check();
  check();
  return { path, check };
}

const replaceByCopy = (file: string): void => {
  copyFileSync(file, `${file}.copy`);
  renameSync(`${file}.copy`, file);
};

it.each<[string, (path: string) => void]>([
  ['the ledger unlinked', (path) => rmSync(path)],
  ['the ledger moved', (path) => renameSync(path, `${path}.moved`)],
  ['the ledger moved to another folder', (path) => renameSync(path, join(dirname(dirname(path)), 'ledger.db'))],
  ['a copy in the place of the ledger', replaceByCopy],
  [
    'a link in the place of the ledger',
    (path) => (copyFileSync(path, `${path}.copy`), unlinkSync(path), symlinkSync(`${path}.copy`, path)),
  ],
  ['the WAL unlinked', (path) => rmSync(`${path}-wal`)],
  ['the WAL moved', (path) => renameSync(`${path}-wal`, `${path}.moved`)],
  ['a copy in the place of the WAL', (path) => replaceByCopy(`${path}-wal`)],
  [
    'a copy in the place of the WAL, and the time of the folder put back',
    (path) => {
      replaceByCopy(`${path}-wal`);
      utimesSync(dirname(path), LONG_AGO_S, LONG_AGO_S);
    },
  ],
  ['the folder moved away', (path) => renameSync(dirname(path), `${dirname(path)}.moved`)],
  [
    'another folder with copies in its place',
    (path) => {
      const [folder, other] = [dirname(path), `${dirname(path)}.other`];
      mkdirSync(other);
      for (const end of ['', '-wal', '-shm']) copyFileSync(`${path}${end}`, join(other, `ledger.db${end}`));
      renameSync(folder, `${folder}.moved`);
      renameSync(other, folder);
    },
  ],
])('%s: refused, again and again', async (_what, spoil) => {
  for (const aheadMs of [0, HOUR_MS, -HOUR_MS]) {
    const { path, check } = opened(aheadMs);
    await setTimeout(TICK_MS);
    spoil(path);
    for (let i = 0; i < 3; i++) expect(check).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
  }
});

it('the ledger itself is looked at each time: a file mounted over it changes nothing of its folder', () => {
  const path = files();
  const [own, other] = [statSync(path, { bigint: true }), statSync(dirname(path), { bigint: true })];
  let isMounted = false;
  const check = checkOf(path, own, {
    nowMs: () => Date.now() + HOUR_MS,
    look: (each) => (each === path && isMounted ? other : look(each)),
  });
  check();
  check();
  isMounted = true;
  expect(check).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
});

it('another folder in the place of that one, with the very ledger and another WAL, is seen though it changed at the same time', () => {
  const path = files();
  const check = checkOf(path, statSync(path, { bigint: true }), {
    nowMs: () => Date.now(),
    look: (each) => {
      const { dev, ino } = look(each) ?? {};
      return dev === undefined || ino === undefined ? undefined : { dev, ino, size: 0n, ctimeMs: 0n, ctimeNs: 0n };
    },
  });
  check();
  const folder = dirname(path);
  mkdirSync(`${folder}.other`);
  linkSync(path, join(`${folder}.other`, 'ledger.db'));
  writeFileSync(join(`${folder}.other`, 'ledger.db-wal'), '');
  renameSync(folder, `${folder}.moved`);
  renameSync(`${folder}.other`, folder);
  expect(check).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
});

it('whatever else happens in the folder: not refused, and what follows it is seen', async () => {
  const { path, check } = opened(HOUR_MS);
  writeFileSync(path, 'written');
  writeFileSync(`${path}-wal`, 'written');
  writeFileSync(`${path}.other`, '');
  check();
  rmSync(`${path}.other`);
  check();
  await setTimeout(TICK_MS);
  rmSync(`${path}-wal`);
  expect(check).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
});

it.each([
  [2000, 4, true],
  [-HOUR_MS, 4, true],
  [3001, 2, false],
])('a folder that changed %i ms ago: %i looks at each commit', (agoMs, looks, isSeen) => {
  // Stamped by a clock that stands still, as a coarse one does from tick to tick.
  const path = files();
  const stamped = { size: 0n, ctimeMs: 1_000_000n, ctimeNs: 1_000_000_000_000n };
  const looked: string[] = [];
  const check = checkOf(path, statSync(path, { bigint: true }), {
    nowMs: () => 1_000_000 + agoMs,
    look: (each) => {
      looked.push(each);
      const { dev, ino } = look(each) ?? {};
      return dev === undefined || ino === undefined ? undefined : { dev, ino, ...stamped };
    },
  });
  check();
  looked.length = 0;
  check();
  expect(looked).toHaveLength(looks);
  rmSync(`${path}-wal`);
  if (isSeen) expect(check).toThrow(expect.objectContaining({ code: 'LEDGER_REPLACED' }));
});
