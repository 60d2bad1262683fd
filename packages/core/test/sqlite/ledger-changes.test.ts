import { appendFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FileListener, watchedFiles, watchFile } from '../../src/file-watch.ts';
import type { CountersignError } from '../../src/index.ts';
import { LedgerChanges } from '../../src/sqlite/ledger-changes.ts';
import { tempDirectory } from '../fixtures/ledger.ts';

describe('watchFile', () => {
  it('tells of writes, shares one watch per file, and ends it with the last listener', async () => {
    const path = join(tempDirectory(), 'file');
    writeFileSync(path, '');
    const one = { changed: vi.fn<() => void>(), lost: vi.fn<() => void>() };
    const other = { changed: vi.fn<() => void>(), lost: vi.fn<() => void>() };
    const endOne = watchFile(path, one);
    const endOther = watchFile(path, other);
    expect(watchedFiles()).toEqual([path]);
    appendFileSync(path, 'x');
    await vi.waitFor(() => expect(one.changed).toHaveBeenCalled(), 20_000);
    await vi.waitFor(() => expect(other.changed).toHaveBeenCalled(), 20_000);
    endOne();
    endOne();
    expect(watchedFiles()).toEqual([path]);
    endOther();
    expect(watchedFiles()).toEqual([]);
  });

  it.each([
    ['removed', (path: string) => rmSync(path)],
    ['moved away', (path: string) => renameSync(path, `${path}-moved`)],
    ['replaced', (path: string) => (writeFileSync(`${path}-new`, ''), renameSync(`${path}-new`, path))],
  ])('says that a file was %s, and watches it no more', async (_how, act) => {
    const path = join(tempDirectory(), 'file');
    writeFileSync(path, '');
    const listener = { changed: vi.fn<() => void>(), lost: vi.fn<() => void>() };
    watchFile(path, listener);
    act(path);
    await vi.waitFor(() => expect(listener.lost).toHaveBeenCalledOnce(), 20_000);
    expect(watchedFiles()).toEqual([]);
  });

  it('throws when there is nothing to watch, and keeps nothing', () => {
    expect(() => watchFile(join(tempDirectory(), 'nothing'), { changed() {}, lost() {} })).toThrow('ENOENT');
    expect(watchedFiles()).toEqual([]);
  });
});

describe('LedgerChanges', () => {
  let listeners: FileListener[];
  let watches: number;
  let looks: number;
  let changed: boolean;
  let errors: CountersignError[];

  beforeEach(() => {
    vi.useFakeTimers();
    [listeners, watches, looks, changed, errors] = [[], 0, 0, false, []];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const following = (watch = watchable): LedgerChanges => {
    const look = (): boolean => {
      looks++;
      const was = changed;
      changed = false;
      return was;
    };
    return new LedgerChanges({ file: '/ledger.db-wal', look, onError: (error) => errors.push(error), watch });
  };

  function watchable(_path: string, listener: FileListener): () => void {
    listeners.push(listener);
    watches++;
    return () => {
      listeners = listeners.filter((each) => each !== listener);
    };
  }

  function unwatchable(code: string): () => never {
    return () => {
      watches++;
      throw Object.assign(new Error(code), { code });
    };
  }

  /** Asleep: the first moments are over. */
  async function asleep(changes: LedgerChanges): Promise<void> {
    changes.start();
    await vi.advanceTimersByTimeAsync(1000);
    looks = 0;
  }

  it('looks seldom while nothing is told', async () => {
    await asleep(following());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(looks).toBeLessThanOrEqual(41);
    expect(listeners).toHaveLength(1);
  });

  it('looks within milliseconds of a notification, and goes on looking: the commit becomes visible later', async () => {
    await asleep(following());
    listeners[0]?.changed();
    await vi.advanceTimersByTimeAsync(10);
    expect(looks).toBeGreaterThanOrEqual(1);
    await vi.advanceTimersByTimeAsync(80);
    expect(looks).toBeGreaterThanOrEqual(10);
  });

  it('watches nothing while it is awake: a busy ledger costs looks, not notifications', async () => {
    await asleep(following());
    const before = watches;
    listeners[0]?.changed();
    for (let i = 0; i < 400; i++) {
      expect(listeners).toHaveLength(0);
      changed = true;
      await vi.advanceTimersByTimeAsync(5);
    }
    expect(looks).toBeLessThanOrEqual(401);
    expect(watches).toBe(before);
    await vi.advanceTimersByTimeAsync(200);
    expect(listeners).toHaveLength(1);
  });

  it('looks once more after it set the watch again', async () => {
    await asleep(following());
    listeners[0]?.changed();
    await vi.advanceTimersByTimeAsync(95);
    looks = 0;
    const until = watches;
    while (watches === until) await vi.advanceTimersByTimeAsync(1);
    expect(looks).toBeGreaterThanOrEqual(2);
  });

  it('takes less of the time the more a look costs', async () => {
    const changes = new LedgerChanges({
      file: '/ledger.db-wal',
      look: () => {
        looks++;
        return true;
      },
      onError: () => {},
      watch: watchable,
    });
    const now = vi.spyOn(performance, 'now');
    let at = 0;
    now.mockImplementation(() => (at += 1));
    changes.start();
    await vi.advanceTimersByTimeAsync(1000);
    // Each look seems to take 1 ms: 50 ms between two.
    expect(looks).toBeLessThanOrEqual(21);
    changes.stop();
    now.mockRestore();
  });

  it.each(['EMFILE', 'ENOSPC', 'ENOENT'])('polls where no watch can be had (%s), and says so once', async (code) => {
    const changes = following(unwatchable(code));
    await asleep(changes);
    await vi.advanceTimersByTimeAsync(1000);
    expect(looks).toBeGreaterThanOrEqual(24);
    expect(looks).toBeLessThanOrEqual(26);
    expect(errors).toEqual([expect.objectContaining({ code: 'LEDGER_NOT_WATCHED', message: expect.stringContaining(code) as string })]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(errors).toHaveLength(1);
    expect(watches).toBeGreaterThan(2);
    expect(watches).toBeLessThan(10);
  });

  it('finds out that a file system tells nothing', async () => {
    await asleep(following());
    for (let i = 0; i < 3; i++) {
      expect(errors).toEqual([]);
      changed = true;
      await vi.advanceTimersByTimeAsync(1500);
    }
    expect(errors.map(({ code }) => code)).toEqual(['LEDGER_NOT_WATCHED']);
    looks = 0;
    await vi.advanceTimersByTimeAsync(1000);
    expect(looks).toBeGreaterThanOrEqual(24);
  });

  it('a late commit now and then is no such file system', async () => {
    await asleep(following());
    for (let i = 0; i < 10; i++) {
      listeners[0]?.changed();
      await vi.advanceTimersByTimeAsync(1000);
      changed = true;
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(errors).toEqual([]);
  });

  it('watches what the path leads to now once the file was replaced', async () => {
    await asleep(following());
    const before = watches;
    const [listener] = listeners;
    listeners = [];
    listener?.lost();
    await vi.advanceTimersByTimeAsync(500);
    expect(watches).toBe(before + 1);
    expect(listeners).toHaveLength(1);
  });

  it('leaves no timer and no watch behind, from whichever state it is stopped', async () => {
    for (const reach of [
      async (changes: LedgerChanges) => asleep(changes),
      async (changes: LedgerChanges) => changes.start(),
      async (changes: LedgerChanges) => {
        await asleep(changes);
        listeners[0]?.changed();
      },
    ]) {
      const changes = following();
      await reach(changes);
      changes.stop();
      changes.stop();
      expect(vi.getTimerCount()).toBe(0);
      expect(listeners).toEqual([]);
      looks = 0;
      await vi.advanceTimersByTimeAsync(5000);
      expect(looks).toBe(0);
    }
    const blind = following(unwatchable('EMFILE'));
    await asleep(blind);
    blind.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('stopped by its own look it does not go on', async () => {
    const changes = new LedgerChanges({
      file: '/ledger.db-wal',
      look: () => (changes.stop(), true),
      onError: () => {},
      watch: watchable,
    });
    changes.start();
    await vi.advanceTimersByTimeAsync(5000);
    expect(vi.getTimerCount()).toBe(0);
    expect(listeners).toEqual([]);
  });
});
