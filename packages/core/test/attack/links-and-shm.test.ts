/** A ledger whose path leads elsewhere by links, or whose readers and writers no longer share one index: nothing is released. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { guardOn, LEDGER_PEM, openLedger, tempDirectory } from '../fixtures/ledger.ts';

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
  await store.close().catch(() => undefined);
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
  await store.close().catch(() => undefined);
});

it('two processes that no longer share a -shm: what either permitted stands in the ledger', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const permitted: string[] = [];
  const ask = async (process: ChildProcess): Promise<boolean> => {
    process.send('call');
    const [{ permit }] = (await once(process, 'message')) as [{ permit?: string }];
    if (permit !== undefined) permitted.push(permit);
    return permit !== undefined;
  };
  const first = await started(path, 'a');
  for (let i = 0; i < 2; i++) expect(await ask(first)).toBe(true);
  rmSync(`${path}-shm`);
  const second = await started(path, 'b');
  for (let i = 0; i < 4; i++) {
    expect(await ask(second)).toBe(true);
    for (let again = 0; again < 2; again++) await ask(first);
  }
  for (const process of [first, second]) {
    process.kill('SIGKILL');
    await once(process, 'exit');
  }
  const database = new Sqlite(path, { readonly: true });
  const text = database.prepare<[], string>('SELECT body FROM entries').pluck().all().join('\n');
  database.close();
  expect(permitted.length).toBeGreaterThanOrEqual(6);
  expect(permitted.filter((call) => !text.includes(call))).toEqual([]);
});

async function started(path: string, session: string): Promise<ChildProcess> {
  const child = fork(
    fileURLToPath(new URL('../fixtures/permit-process.ts', import.meta.url)),
    [path, Buffer.from(LEDGER_PEM).toString('base64'), session],
    { execArgv: ['--conditions=@countersign/source', '--no-warnings'] },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}
