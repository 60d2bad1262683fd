/**
 * A file system that does not answer, as NFS without its server. Level: exact. It keeps the whole tree waiting, which is told, and lets
 * nothing go on; and it keeps nobody from ending the tree.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, mkdtempSync, openSync, readlinkSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getuid } from 'node:process';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { processOfThread } from '../../../src/kernel/processes.ts';
import { cProgram } from '../../c-program.ts';
import { attacking, missing } from './attacked.ts';
import { ended, refusing } from './running.ts';

const program = cProgram('kernel/attack/hanging') ?? '';
const needs = missing ?? whyNotMounted();
if (needs !== undefined) console.warn(`SKIPPED: a file system that hangs: ${needs}`);

function whyNotMounted(): string | undefined {
  if (getuid?.() !== 0) return 'only root mounts one here';
  try {
    accessSync('/dev/fuse', constants.W_OK);
    return undefined;
  } catch {
    return 'there is no FUSE';
  }
}

interface Hanging {
  readonly at: string;
  /** The next line it says: `asked`, once somebody waits for it. */
  readonly says: () => Promise<string>;
  /** All that waits for it fails. */
  readonly end: () => Promise<void>;
}

async function hanging(...has: readonly 'files'[]): Promise<Hanging> {
  const at = mkdtempSync(join(tmpdir(), 'countersign-hanging-'));
  const server = spawn(program, [at, ...has], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(server.stdout)[Symbol.asyncIterator]();
  const says = async (): Promise<string> => String((await lines.next()).value);
  const end = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.stdin.end();
    await once(server, 'exit');
  };
  onTestFinished(async () => {
    await end();
    rmSync(at, { recursive: true });
  });
  expect(await says()).toBe('there');
  return { at, says, end };
}

/** A pipe of ours with something in it. */
function opened(): { readonly fd: number; readonly unread: () => string } {
  const at = join(mkdtempSync(join(tmpdir(), 'countersign-pipe-')), 'pipe');
  execFileSync('mkfifo', [at]);
  const fd = openSync(at, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => {
    closeSync(fd);
    rmSync(dirname(at), { recursive: true });
  });
  writeSync(fd, 'as it was');
  return { fd, unread: () => readable(fd) };
}

function leadsTo(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}

function readable(fd: number): string {
  const into = Buffer.alloc(64);
  return into.toString('utf8', 0, readSync(fd, into));
}

describe.skipIf(needs !== undefined).each(['deny-list', 'broker'] as const)('reads: %s', (trapReads) => {
  const begun = async (files: Hanging) => {
    const stalled = Promise.withResolvers<number>();
    const run = await attacking({
      trapReads,
      program: '/bin/sh',
      args: ({ secret, good }) => ['-c', `cat ${files.at}/x & echo $!; sleep 1; cat ${good}; echo; cat ${secret}/key; wait`],
      onTold: refusing,
      onStall: stalled.resolve,
      quiet: true,
    });
    expect(await files.says()).toBe('asked');
    return { run, stalled: stalled.promise };
  };

  it('everybody waits, and the operator is told for whom; once it answers all goes on, judged as ever', async () => {
    const files = await hanging();
    const { run, stalled } = await begun(files);
    const reader = processOfThread(await stalled);
    // `sleep` has long ended, if it ever began.
    expect(run.told.some(({ observation: { action } }) => 'path' in action && action.path === run.project.good)).toBe(false);
    await files.end();
    const { said, stopped } = await ended(run);
    expect(said).toEqual([String(reader), 'fine enough']);
    expect(run.isUntouched()).toBe(true);
    expect(stopped).toMatchObject([{ kind: 'read', path: `${run.project.secret}/key` }]);
  });

  it('the tree is ended all the same, and nothing of it went on', async () => {
    const files = await hanging();
    const { run } = await begun(files);
    process.kill(run.pid, 'SIGKILL');
    await run.ended;
    const before = performance.now();
    await run.supervisor.stop();
    expect(performance.now() - before).toBeLessThan(20_000);
    expect(run.told.some(({ observation: { action } }) => 'path' in action && action.path === run.project.good)).toBe(false);
  });

  it('a thread that comes back after we hung up touches nothing that was opened since', async () => {
    const files = await hanging();
    const { run } = await begun(files);
    process.kill(run.pid, 'SIGKILL');
    await run.ended;
    await run.supervisor.stop();
    const since = Array.from({ length: 32 }, opened);
    expect(since.map(({ fd }) => fd)).not.toContain(run.listener);
    await files.end();
    // Whatever has that number by then.
    await expect.poll(() => leadsTo(run.listener), { timeout: 20_000 }).not.toBe('anon_inode:[eventfd]');
    for (const { fd, unread } of since) expect([fd, unread()]).toEqual([fd, 'as it was']);
  });

  it('so it is with a name that lies in memory nobody can read: it is not gone past, and only its file system is waited for', async () => {
    const files = await hanging('files');
    const stalled = Promise.withResolvers<number>();
    const run = await attacking({
      trapReads,
      program: '/bin/sh',
      args: ({ good, secret }) => ['-c', `'${program}' names ${files.at}/x & wait; cat ${good}; echo; cat ${secret}/key`],
      onTold: refusing,
      onStall: stalled.resolve,
      quiet: true,
    });
    expect(await files.says()).toBe('asked');
    expect(processOfThread(await stalled.promise)).toBeDefined();
    expect(run.told.some(({ observation: { action } }) => 'path' in action && action.path === run.project.good)).toBe(false);
    await files.end();
    const { said, stopped, actions } = await ended(run);
    expect(said).toEqual(['named', 'opened EFAULT', 'fine enough']);
    expect(actions).toContainEqual(expect.objectContaining({ kind: 'unreadable', what: 'the path' }));
    expect(run.isUntouched()).toBe(true);
    expect(stopped).toMatchObject([{ kind: 'read', path: `${run.project.secret}/key` }]);
  });

  it('nor does that keep the tree from being ended', async () => {
    const files = await hanging('files');
    const run = await attacking({ trapReads, program, args: () => ['names', `${files.at}/x`], onTold: refusing, quiet: true });
    expect(await files.says()).toBe('asked');
    process.kill(run.pid, 'SIGKILL');
    await run.ended;
    const before = performance.now();
    await run.supervisor.stop();
    expect(performance.now() - before).toBeLessThan(20_000);
  });
});
