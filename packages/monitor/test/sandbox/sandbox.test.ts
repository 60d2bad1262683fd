import { describe, expect, it, vi } from 'vitest';
import { landlockSandbox } from '../../src/sandbox/landlock-sandbox.ts';
import type { SandboxRuntime } from '../../src/sandbox/runtime.ts';
import { openSandbox } from '../../src/sandbox/sandbox.ts';
import type { SandboxKind, SandboxName } from '../../src/sandbox/sandbox-kind.ts';
import { quotedForShell, type SrtHost, srtSandbox } from '../../src/sandbox/srt.ts';
import { defaultScope, loadScope } from '../../src/scope/load.ts';

function kind(name: SandboxName, missing?: string): SandboxKind {
  return {
    name,
    open: async () =>
      missing === undefined ? { name, prepare: async (command) => ({ ...command, unexpressed: [] }), close: async () => {} } : { missing },
  };
}

describe('which one is taken', () => {
  const both = [kind('srt'), kind('landlock')];
  it.each([
    ['auto', both, 'srt', []],
    ['landlock', both, 'landlock', []],
    ['srt', both, 'srt', []],
    ['auto', [kind('srt', 'no bwrap'), kind('landlock')], 'landlock', [{ name: 'srt', why: 'no bwrap' }]],
  ] as const)('%s of %o', async (by, kinds, taken, missing) => {
    const { sandbox, contained } = await openSandbox({ by, whenMissing: 'refuse' }, defaultScope(), kinds);
    expect(sandbox?.name).toBe(taken);
    expect(contained).toEqual({ asked: by, by: taken, missing });
  });

  it('one that was asked for by name is never replaced by another', async () => {
    const kinds = [kind('srt', 'no bwrap'), kind('landlock')];
    await expect(openSandbox({ by: 'srt', whenMissing: 'refuse' }, defaultScope(), kinds)).rejects.toMatchObject({
      code: 'MONITOR_UNAVAILABLE',
      message: 'nothing can be contained here by srt: srt: no bwrap',
    });
    const without = await openSandbox({ by: 'srt', whenMissing: 'without' }, defaultScope(), kinds);
    expect(without).toEqual({ contained: { asked: 'srt', by: 'off', missing: [{ name: 'srt', why: 'no bwrap' }] } });
  });

  it('with none of them nothing is contained, and every reason is told', async () => {
    const kinds = [kind('srt', 'no bwrap'), kind('landlock', 'an old kernel')];
    await expect(openSandbox({ by: 'auto', whenMissing: 'refuse' }, defaultScope(), kinds)).rejects.toThrow(/no bwrap.*an old kernel/);
    expect((await openSandbox({ by: 'auto', whenMissing: 'without' }, defaultScope(), kinds)).contained.missing).toHaveLength(2);
  });
});

describe('landlock is there', () => {
  it.each([
    ['koffi is missing', 'koffi is missing', 7],
    ['the kernel has no landlock', undefined, 0],
  ])('not where %s', async (why, missing, abi) => {
    const opened = await landlockSandbox({ abi: () => abi, missing: () => missing }).open(defaultScope());
    expect('missing' in opened && opened.missing).toContain(why);
  });
});

function runtime(more: Partial<SandboxRuntime> = {}): SandboxRuntime {
  return {
    isSupportedPlatform: () => true,
    checkDependencies: () => ({ errors: [], warnings: [] }),
    initialize: async () => {},
    wrapWithSandbox: async (command) => `/usr/bin/bwrap -- ${command}`,
    reset: async () => {},
    ...more,
  };
}

function host(more: Partial<SrtHost> = {}): SrtHost {
  return { load: async () => runtime(), find: (name) => `/usr/bin/${name}`, tries: async () => true, ...more };
}

describe('sandbox-runtime is there', () => {
  it.each([
    ['not installed', host({ load: () => Promise.reject(new Error('x')) }), /npm install @anthropic-ai\/sandbox-runtime@0\.0\.83/],
    ['unknown platform', host({ load: async () => runtime({ isSupportedPlatform: () => false }) }), /does not know this platform/],
    [
      'no bubblewrap',
      host({ load: async () => runtime({ checkDependencies: () => ({ errors: ['bwrap not found'], warnings: [] }) }) }),
      /bwrap not found/,
    ],
    ['namespaces refused', host({ tries: async () => false }), /user namespaces/],
    [
      'a start that fails',
      host({ load: async () => runtime({ initialize: () => Promise.reject(new Error('no port\nmore')) }) }),
      /^no port$/,
    ],
    [
      'a wrap that fails',
      host({ load: async () => runtime({ wrapWithSandbox: () => Promise.reject(new Error('no mount')) }) }),
      /^no mount$/,
    ],
  ])('not with %s, and the next one is not in its way', async (_, given, why) => {
    const opened = await srtSandbox(given).open(defaultScope());
    expect('missing' in opened && opened.missing).toMatch(why);
    const next = await srtSandbox(host()).open(defaultScope());
    expect('missing' in next).toBe(false);
    if (!('missing' in next)) await next.close();
  });

  it('only after a program ran in it, and what was begun is taken back where none did', async () => {
    const reset = vi.fn(async () => {});
    const tries = vi.fn(async (_line: string) => false);
    await srtSandbox(host({ load: async () => runtime({ reset }), tries })).open(defaultScope());
    expect(tries.mock.calls[0]?.[0]).toMatch(/^exec \/usr\/bin\/bwrap -- .*'\/bin\/sh' '-c' ':'$/);
    expect(reset).toHaveBeenCalledOnce();
  });

  it('on macOS: it is asked of the library alone, and its command line is run by a shell', async () => {
    const lines: string[] = [];
    const wrapWithSandbox: SandboxRuntime['wrapWithSandbox'] = async (command, shell) => {
      lines.push(`${shell ?? ''} ${command}`);
      return `env SANDBOX_RUNTIME=1 /usr/bin/sandbox-exec -p '(version 1)' ${command}`;
    };
    const find = (name: string): string | undefined => (name === 'bash' ? '/bin/bash' : undefined);
    const opened = await srtSandbox(host({ load: async () => runtime({ wrapWithSandbox }), find })).open(defaultScope());
    if ('missing' in opened) throw new Error(opened.missing);
    const command = { program: '/opt/agent', args: ['a b'], cwd: '/tmp', env: { TMPDIR: "/tmp/it's" } };
    const { program, args } = await opened.prepare(command, { workspace: '/tmp', home: '/Users/ann', own: [] });
    await opened.close();
    expect([program, args[0]]).toEqual(['/bin/sh', '-c']);
    expect(args[1]).toMatch(/^exec env SANDBOX_RUNTIME=1 \/usr\/bin\/sandbox-exec /);
    expect(lines.at(-1)).toBe(`/bin/bash export TMPDIR='/tmp/it'\\''s'; exec '/opt/agent' 'a b'`);
  });

  it('programs are named by where they lie, and its paths are never patterns', async () => {
    const initialize = vi.fn<SandboxRuntime['initialize']>(async () => {});
    const configs: Parameters<SandboxRuntime['wrapWithSandbox']>[2][] = [];
    const wrapWithSandbox: SandboxRuntime['wrapWithSandbox'] = async (command, _shell, config) => {
      configs.push(config);
      return command;
    };
    const opened = await srtSandbox(host({ load: async () => runtime({ initialize, wrapWithSandbox }) })).open(defaultScope());
    if ('missing' in opened) throw new Error(opened.missing);
    await opened.prepare({ program: '/bin/true', args: [], cwd: '/', env: {} }, { workspace: '/usr/lib', home: '/nobody', own: [] });
    await opened.close();
    expect(initialize.mock.calls[0]?.[0]).toMatchObject({
      bwrapPath: '/usr/bin/bwrap',
      socatPath: '/usr/bin/socat',
      ripgrep: { command: '/usr/bin/rg' },
    });
    const entries = Object.values(configs.at(-1)?.filesystem ?? {}).flat();
    expect(entries.length).toBeGreaterThan(0);
    expect(entries.every(({ literal, path }) => literal && path.startsWith('/'))).toBe(true);
  });

  it('its proxy asks the scope', async () => {
    let ask: Parameters<SandboxRuntime['initialize']>[1] | undefined;
    const initialize: SandboxRuntime['initialize'] = async (_config, asked) => {
      ask = asked;
    };
    const scope = loadScope({ document: { network: { allowed_domains: ['a.example'] } } });
    const opened = await srtSandbox(host({ load: async () => runtime({ initialize }) })).open(scope);
    if (!('missing' in opened)) await opened.close();
    expect(await ask?.({ host: 'a.example', port: 1 })).toBe(true);
    expect(await ask?.({ host: 'b.example', port: 1 })).toBe(false);
  });
});

it.each([
  ['', "''"],
  ['a b', "'a b'"],
  ["it's", `'it'\\''s'`],
  ["'", `''\\'''`],
  ['$(x)`y`"\\\n', `'$(x)\`y\`"\\\n'`],
])('%j is one word for a shell', (text, word) => {
  expect(quotedForShell(text)).toBe(word);
});
