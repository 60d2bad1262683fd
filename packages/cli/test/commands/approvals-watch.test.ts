import { join } from 'node:path';
import { loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { calls, folder, json, project, type Ran, run, Sink } from '../harness.ts';

const EVIL = 'write_\u202epay\u200b';

/** The command in the background, until it is told to stop. */
function watching(cwd: string, more: readonly string[] = [], options: { readonly tty?: boolean; readonly columns?: number } = {}) {
  const stdout = new Sink();
  const ran = run(['approvals', 'watch', ...more], { cwd, stdout, env: { NO_COLOR: '1' }, ...options });
  const stop = (signal: 'SIGINT' | 'SIGTERM' = 'SIGINT'): Promise<Ran> => {
    process.emit(signal);
    return ran;
  };
  onTestFinished(async () => void (await stop()));
  const lines = (): readonly string[] => stdout.text.split('\n').slice(0, -1);
  const shows = (count: number): Promise<readonly string[]> =>
    vi.waitFor(
      () => {
        expect(lines()).toHaveLength(count);
        return lines();
      },
      { timeout: 20_000 },
    );
  return { stop, shows, lines, stdout };
}

async function deny(cwd: string, id: string): Promise<void> {
  const config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
  const store = storeFromConfig(config);
  const guard = guardFromConfig(config, store);
  await guard.approvals.resolve(id, { decision: 'deny' }, { id: 'ann', method: 'host' });
  await guard.close();
  await store.close();
}

describe('approvals watch', () => {
  it('shows what waits, then asks and answers, a line each, until Ctrl-C', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const watch = watching(cwd);
    const [first] = await watch.shows(1);
    expect(first).toMatch(new RegExp(`^\\d\\d:\\d\\d:\\d\\d  asked     ${id.slice(0, 8)}  files/write_file for bot, expires in \\d+[ms]$`));
    await deny(cwd, id);
    const [, answered, settled] = await watch.shows(3);
    expect(answered).toContain(`deny      ${id.slice(0, 8)}  files/write_file for bot, by ann`);
    expect(settled).toContain(`denied    ${id.slice(0, 8)}`);
    await calls(cwd, [{ args: { path: '/srv/b' } }]);
    expect((await watch.shows(4))[3]).toContain('asked');
    expect((await watch.stop()).code).toBe(0);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends cleanly at %s, and leaves no listener', async (signal) => {
    const cwd = await project();
    await calls(cwd, [{}]);
    const before = process.listenerCount(signal);
    const watch = watching(cwd);
    await watch.shows(1);
    expect(process.listenerCount(signal)).toBe(before + 1);
    expect(await watch.stop(signal)).toMatchObject({ code: 0, stderr: '' });
    expect(process.listenerCount(signal)).toBe(before);
  });

  it('has one JSON document per line', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const watch = watching(cwd, ['--json']);
    await watch.shows(1);
    await deny(cwd, id);
    const events = (await watch.shows(3)).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events).toMatchObject([
      { event: 'asked', approval: { id, state: 'pending', tool: { server: 'files', name: 'write_file' }, mismatches: [] } },
      { event: 'answered', answer: { approver: 'ann', answer: 'deny' }, approval: { id } },
      { event: 'settled', approval: { id, state: 'denied' } },
    ]);
  });

  it('rings only where it is asked to, on a terminal, for asks', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const ringing = watching(cwd, ['--bell'], { tty: true });
    await ringing.shows(1);
    await deny(cwd, id);
    await ringing.shows(3);
    await ringing.stop();
    expect(ringing.stdout.text.split('\u0007')).toHaveLength(2);
    await calls(cwd, [{ args: { path: '/srv/c' } }]);
    for (const [more, tty] of [
      [['--bell'], false],
      [[], true],
    ] as const) {
      const silent = watching(cwd, more, { tty });
      await silent.shows(1);
      await silent.stop();
      expect(silent.stdout.text).not.toContain('\u0007');
    }
  });

  it('shows what is asked for, escaped, and no wider than the terminal', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: EVIL }, { tool: 'write_log', session: 's2' }, { server: 'mail', tool: 'write_log', session: 's2' }]);
    const narrow = watching(cwd, [], { tty: true, columns: 30 });
    const lines = await narrow.shows(3);
    for (const line of lines) expect(Array.from(line).length).toBeLessThanOrEqual(30);
    await narrow.stop();
    const wide = watching(cwd);
    await wide.shows(3);
    expect(wide.stdout.text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    await wide.stop();
    const chosen = watching(cwd, ['--tool', 'write_log', '--session', 's2']);
    await chosen.shows(2);
    await chosen.stop();
    const one = watching(cwd, ['--tool', 'mail/write_log']);
    expect((await one.shows(1))[0]).toContain('mail/write_log');
  });

  it('says what is missing where there is no ledger yet', async () => {
    const cwd = await project();
    const ran = await run(['approvals', 'watch', '--json'], { cwd });
    expect(ran.code).toBe(4);
    expect(json(ran)).toMatchObject({ error: { code: 'LEDGER_NOT_FOUND' } });
    expect(ran.stderr).toContain('next:');
    expect((await run(['approvals', 'watch'], { cwd: folder() })).stderr).toContain('[CONFIG_NOT_FOUND]');
  });
});
