import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { announced } from '../../src/sqlite/announced.ts';
import { readLedger } from '../../src/sqlite/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';

const WATCHED = { COUNTERSIGN_RUN: 'ab'.repeat(16) };

async function ledger(): Promise<string> {
  const path = join(tempDirectory(), 'ledger.db');
  await openLedger(path, { writer: 'inline' }).close();
  return path;
}

function writers(path: string): readonly number[] {
  const reader = readLedger(path);
  try {
    return reader.liveWriterPids();
  } finally {
    reader.close();
  }
}

it('in a watched tree there is a lease while the key is read, and none afterwards', async () => {
  const path = await ledger();
  expect(announced(path, () => writers(path), WATCHED)).toEqual([process.pid]);
  expect(writers(path)).toEqual([]);
});

it('also where reading it fails, which is told as it was', async () => {
  const path = await ledger();
  const failing = (): never => {
    throw new Error('no key');
  };
  expect(() => announced(path, failing, WATCHED)).toThrow('no key');
  expect(writers(path)).toEqual([]);
});

it('nothing is written where nobody watches', async () => {
  const path = await ledger();
  expect(announced(path, () => writers(path), {})).toEqual([]);
});

it('no ledger is made, and none that is broken keeps anything from being opened', () => {
  const folder = tempDirectory();
  expect(announced(join(folder, 'absent.db'), () => 'opened', WATCHED)).toBe('opened');
  expect(existsSync(join(folder, 'absent.db'))).toBe(false);
  writeFileSync(join(folder, 'broken.db'), 'no database');
  expect(announced(join(folder, 'broken.db'), () => 'opened', WATCHED)).toBe('opened');
});
