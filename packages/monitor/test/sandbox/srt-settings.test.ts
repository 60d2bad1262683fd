import type { ScopeDocument } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import type { Look, Places } from '../../src/sandbox/places.ts';
import { MAX_HIDDEN, mayConnect, srtSettings } from '../../src/sandbox/srt-settings.ts';
import { loadScope } from '../../src/scope/load.ts';

const PLACES: Places = {
  ...{
    workspace: '/home/ann/work',
    home: '/home/ann',
    tmp: ['/tmp'],
    program: '/usr/bin/node',
    path: ['/usr/bin'],
    own: [],
    isRoot: false,
  },
};

/** A file system of these files; their folders are there too. */
function fakeLook(files: readonly string[]): Look {
  const all = new Set(['/home/ann/work/x', '/tmp/x', '/usr/bin/node', '/root/x', ...files]);
  const children = new Map<string, Map<string, boolean>>();
  for (const file of all) {
    const parts = file.split('/').slice(1);
    for (let depth = 0; depth < parts.length; depth++) {
      const folder = `/${parts.slice(0, depth).join('/')}`.replace(/\/$/, '') || '/';
      const inside = children.get(folder) ?? new Map<string, boolean>();
      inside.set(parts[depth] ?? '', depth < parts.length - 1);
      children.set(folder, inside);
    }
  }
  return {
    real: (path) => (all.has(path) || children.has(path) ? path : undefined),
    entries: (folder) => [...(children.get(folder) ?? [])].map(([name, isFolder]) => ({ name, isFolder })),
  };
}

function translated(scope: ScopeDocument, files: readonly string[] = [], places: Partial<Places> = {}) {
  const { files: settings, unexpressed } = srtSettings(loadScope({ document: scope }), { ...PLACES, ...places }, fakeLook(files));
  return {
    ...settings,
    wider: unexpressed.filter(({ is, key }) => is === 'wider' && key !== 'behavior').map(({ key, item }) => [key, item]),
  };
}

describe('files', () => {
  it('homes are hidden but for what is granted; only that is written', () => {
    const got = translated({}, ['/home/ann/.cache/x', '/home/ann/.ssh/id', '/home/ann/.nvm/x']);
    expect(got.denyRead).toEqual(expect.arrayContaining(['/home', '/root', '/home/ann']));
    expect([...got.allowRead].sort()).toEqual(['/home/ann/.cache', '/home/ann/.nvm', '/home/ann/work']);
    expect([...got.allowWrite].sort()).toEqual(['/home/ann/.cache', '/home/ann/work', '/tmp']);
    expect(got.wider).toEqual([]);
  });

  it('what is forbidden in a granted folder is hidden as it is found, and what may come later is told', () => {
    const files = ['.env', 'a/.env', 'a/b/key.pem', 'node_modules/x/key.pem', 'git/hooks/x', 'secret/x'].map(
      (name) => `/home/ann/work/${name}`,
    );
    const forbidden_paths = ['**/.env', 'secret/**', 'later/**', '~/.ssh/**', '/srv/*/x'];
    const got = translated({ filesystem: { forbidden_paths, forbidden_writes: ['git/hooks'], forbidden_extensions: ['.pem'] } }, files);
    const work = '/home/ann/work';
    expect(got.denyRead).toEqual(expect.arrayContaining([`${work}/.env`, `${work}/a/.env`, `${work}/a/b/key.pem`, `${work}/secret`]));
    expect(got.denyRead).not.toContain(`${work}/node_modules/x/key.pem`);
    expect(got.denyWrite).toEqual([`${work}/git/hooks`]);
    expect(got.wider).toEqual([
      ['forbidden_paths', '**/.env'],
      ['forbidden_paths', 'later/**'],
      ['forbidden_paths', '/srv/*/x'],
      ['forbidden_extensions', '.pem'],
    ]);
  });

  it('what is forbidden outside of homes is hidden by its name', () => {
    const got = translated({ filesystem: { forbidden_paths: ['/srv/keys/**', '/opt/gone'] } }, ['/srv/keys/a']);
    expect(got.denyRead).toContain('/srv/keys');
    expect(got.wider).toEqual([]);
  });

  it('no more is hidden than can be, and then that is told', () => {
    const files = Array.from({ length: MAX_HIDDEN + 2 }, (_, number) => `/home/ann/work/${number}.pem`);
    const got = translated({ filesystem: { forbidden_extensions: ['.pem'] } }, files);
    expect(got.denyRead.filter((path) => path.endsWith('.pem'))).toHaveLength(MAX_HIDDEN);
    expect(got.wider).toEqual([['forbidden_extensions', '.pem']]);
  });

  it('our own files are neither read nor written', () => {
    const own = ['/home/ann/work/.countersign'];
    const got = translated({}, ['/home/ann/work/.countersign/ledger.db'], { own });
    expect(got.denyRead).toEqual(expect.arrayContaining(own));
    expect(got.denyWrite).toEqual(own);
  });

  it('for root the secrets of the system are hidden', () => {
    expect(translated({}, ['/etc/shadow', '/etc/passwd'], { isRoot: true }).denyRead).toContain('/etc/shadow');
    expect(translated({}, ['/etc/shadow', '/etc/passwd'], { isRoot: true }).denyRead).not.toContain('/etc/passwd');
  });

  it('commands, and what is read outside of homes, are told', () => {
    const got = translated({ filesystem: { allowed_paths: [] }, process: { allowed_commands: ['git'], forbidden_commands: ['curl'] } });
    expect(got.allowWrite).not.toContain('/home/ann/work');
    expect(got.wider).toEqual([
      ['allowed_paths', undefined],
      ['allowed_commands', 'git'],
      ['forbidden_commands', 'curl'],
    ]);
  });
});

describe('hosts', () => {
  const domains = {
    allowed_domains: ['a.example', '*.b.example', '192.0.2.7'],
    forbidden_domains: ['bad.a.example'],
    allowed_ports: [443],
  };
  it.each([
    ['a.example', 443, true],
    ['A.Example.', 443, true],
    ['sub.a.example', 443, true],
    ['b.example', 443, true],
    ['192.0.2.7', 443, true],
    ['[::ffff:192.0.2.7]', 443, true],
    ['bad.a.example', 443, false],
    ['x.bad.a.example', 443, false],
    ['nota.example', 443, false],
    ['a.example.evil', 443, false],
    ['a.example', 80, false],
    ['a.example', undefined, false],
    ['192.0.2.8', 443, false],
    ['', 443, false],
  ])('%s:%s of named ones: %s', (host, port, expected) => {
    expect(mayConnect(loadScope({ document: { network: domains } }), host, port)).toBe(expected);
  });

  it.each(['localhost', 'x.localhost', '127.0.0.1', '127.9.9.9', '[::1]', '::ffff:127.0.0.1', '0x7f.1', '2130706433'])(
    'never this host itself, whatever it is called: %s',
    (host) => {
      expect(mayConnect(loadScope({ document: {} }), host, 443)).toBe(false);
    },
  );

  it('an absent list is any, an empty one is none', () => {
    expect(mayConnect(loadScope({ document: {} }), 'a.example', 1)).toBe(true);
    expect(mayConnect(loadScope({ document: { network: { allowed_domains: [] } } }), 'a.example', 1)).toBe(false);
    expect(mayConnect(loadScope({ document: { network: { allowed_ports: [] } } }), 'a.example', 1)).toBe(false);
  });
});
