import { expect, it, vi } from 'vitest';
import type { Containing } from '../../src/sandbox/sandbox.ts';
import type { SandboxKind, SandboxName } from '../../src/sandbox/sandbox-kind.ts';
import { defaultScope } from '../../src/scope/load.ts';
import { NO_CHANNEL, NOT_BOTH, notesOf, shutIn } from '../../src/warden/shut-in.ts';

const LAUNCH = { program: '/bin/true', args: ['a'], cwd: '/', env: {}, stdio: 'pipe' } as const;
const close = vi.fn(async () => {});

function kind(name: SandboxName, missing?: string, prepare?: () => Promise<never>): SandboxKind {
  return {
    name,
    open: async () =>
      missing === undefined
        ? { name, close, prepare: prepare ?? (async (command) => ({ ...command, program: `/${name}`, unexpressed: [] })) }
        : { missing },
  };
}

function options(by: Containing['by'], more: { whenMissing?: Containing['whenMissing']; isHeld?: boolean } = {}) {
  const { whenMissing = 'refuse', isHeld = false } = more;
  return { contain: { by, whenMissing }, scope: defaultScope(), workspace: '/w', home: '/h', own: [], isHeld };
}

it('what is started is what was prepared, on the same streams', async () => {
  const shut = await shutIn(LAUNCH, options('auto'), [kind('srt'), kind('landlock')]);
  expect(shut).toMatchObject({ by: 'srt', launch: { program: '/srt', args: ['a'], stdio: 'pipe' } });
  expect(shut.passedOver).toBeUndefined();
});

it('under kernel control auto takes landlock, and tells what it did not take; srt is not there', async () => {
  const kinds = [kind('srt'), kind('landlock')];
  const shut = await shutIn(LAUNCH, options('auto', { isHeld: true }), kinds);
  expect(shut).toMatchObject({ by: 'landlock', passedOver: `sandbox-runtime: ${NOT_BOTH}` });
  await expect(shutIn(LAUNCH, options('srt', { isHeld: true }), kinds)).rejects.toThrow(NOT_BOTH);
});

it('with the probe auto takes landlock, with what the probe is loaded from; srt is not there', async () => {
  const kinds = [kind('srt'), kind('landlock')];
  const probed = (by: Containing['by']) => ({ ...options(by), probe: ['/the/probe'] });
  expect(await shutIn(LAUNCH, probed('auto'), kinds)).toMatchObject({ by: 'landlock', passedOver: `sandbox-runtime: ${NO_CHANNEL}` });
  await expect(shutIn(LAUNCH, probed('srt'), kinds)).rejects.toThrow(NO_CHANNEL);
});

it('without any of them nothing is started, or what was asked for is, with an error to tell', async () => {
  const none = [kind('srt', 'no bwrap'), kind('landlock', 'no kernel')];
  await expect(shutIn(LAUNCH, options('auto'), none)).rejects.toMatchObject({ code: 'MONITOR_UNAVAILABLE' });
  const shut = await shutIn(LAUNCH, options('auto', { whenMissing: 'without' }), none);
  expect(shut.launch).toBe(LAUNCH);
  expect(shut.by).toBeUndefined();
  expect(shut.error).toMatchObject({ code: 'MONITOR_UNAVAILABLE', message: expect.stringContaining('no bwrap') });
});

it('a sandbox that cannot prepare the command is closed', async () => {
  close.mockClear();
  const failing = kind('srt', undefined, () => Promise.reject(new Error('no mount')));
  await expect(shutIn(LAUNCH, options('srt'), [failing])).rejects.toThrow('no mount');
  expect(close).toHaveBeenCalledOnce();
});

it('what is not held to is told, each once, some of many', () => {
  const items = ['a', 'b', 'c', 'd', 'e', 'f', 'f', 'line\nbreak'];
  const [wider, narrower] = notesOf('landlock', [
    ...items.map((item) => ({ key: 'forbidden_paths', item, why: 'below', is: 'wider' }) as const),
    { key: 'sockets', why: 'any', is: 'wider' },
    { key: 'terminal', why: 'none', is: 'narrower' },
  ]);
  expect(wider).toMatch(/^landlock does not hold it to: forbidden_paths "a", "b", "c", "d", "e" and 2 more \(below\); sockets \(any\)$/);
  expect(wider).not.toContain('\n');
  expect(narrower).toBe('landlock also keeps from it what the scope allows: terminal (none)');
});
