import type { ScopeDocument } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { landlockRules } from '../../src/sandbox/landlock-rules.ts';
import { type Look, type Places, placeOf, placesOf } from '../../src/sandbox/places.ts';
import { loadScope } from '../../src/scope/load.ts';

const PLACES: Places = {
  workspace: '/home/ann/work',
  home: '/home/ann',
  tmp: ['/tmp'],
  program: '/usr/bin/node',
  path: ['/usr/bin', '/home/ann/bin'],
  own: [],
  isRoot: false,
};

/** Links by name; what is in none of the lists is there and no link, unless it lies below `/gone`. */
function fakeLook(links: Readonly<Record<string, string>> = {}, names: Readonly<Record<string, readonly string[]>> = {}): Look {
  const made = new Map(Object.entries(links));
  const listed = new Map(Object.entries(names));
  return {
    real: (path) =>
      path.startsWith('/gone') || path.endsWith('/package.json') || path.endsWith('/pyproject.toml') ? undefined : (made.get(path) ?? path),
    entries: (folder) => (listed.get(folder) ?? []).map((name) => ({ name, isFolder: true })),
  };
}

function translated(scope: ScopeDocument, { look = fakeLook(), abi = 7, ...places }: Partial<Places> & { look?: Look; abi?: number } = {}) {
  return landlockRules(loadScope({ document: scope }), { ...PLACES, ...places }, abi, look);
}
const all = ({ rules }: ReturnType<typeof translated>): readonly string[] => [
  ...rules.read,
  ...rules.exec,
  ...rules.write,
  ...rules.devices,
];
/** Beside what always holds. */
const told = ({ unexpressed }: ReturnType<typeof translated>) =>
  unexpressed.filter(({ key }) => key !== 'behavior' && key !== 'sockets').map(({ key, item, is }) => [key, item, is]);

describe('what is granted', () => {
  it('without a scope the workspace and tmp are written, the system is read and run, and the home is not there', () => {
    const { rules } = translated({});
    expect(rules.write).toEqual(expect.arrayContaining(['/tmp', '/home/ann/work', '/dev/shm', '/home/ann/.cache']));
    expect(rules.exec).toEqual(expect.arrayContaining(['/usr', '/lib', '/home/ann/bin']));
    expect(rules.read).toContain('/proc');
    expect(all({ rules, unexpressed: [] })).not.toContain('/home/ann');
    expect(rules.connectPorts).toBeUndefined();
    expect(told(translated({}))).toEqual([]);
  });

  it('what it has to read besides is read, and no more; not what is forbidden', () => {
    const { rules } = translated({ filesystem: { forbidden_paths: ['/srv/secret'] } }, { reads: ['/srv/probe', '/srv/secret'] });
    expect(rules.read).toContain('/srv/probe');
    expect([...rules.write, ...rules.exec]).not.toContain('/srv/probe');
    expect(all({ rules, unexpressed: [] })).not.toContain('/srv/secret');
  });

  it('with allowed paths those are written, and the workspace is only read and run', () => {
    const { rules } = translated({ filesystem: { allowed_paths: ['~/projects/**', 'out/'], agent_files: ['~/.agent/**'] } });
    expect(rules.write).toEqual(expect.arrayContaining(['/home/ann/projects', '/home/ann/work/out', '/home/ann/.agent']));
    expect(rules.write).not.toContain('/home/ann/work');
    expect(rules.exec).toContain('/home/ann/work');
  });

  it('a system folder keeps its secrets: each of the others is granted by itself', () => {
    const look = fakeLook(
      {},
      {
        '/etc': ['passwd', 'shadow', 'ssh', 'ssl', 'sudoers', 'hosts'],
        '/etc/ssh': ['ssh_config', 'ssh_host_rsa_key'],
        '/etc/ssl': ['certs', 'private'],
      },
    );
    const { rules } = translated({}, { look });
    expect(rules.read.filter((path) => path.startsWith('/etc'))).toEqual([
      '/etc/passwd',
      '/etc/ssh/ssh_config',
      '/etc/ssl/certs',
      '/etc/hosts',
    ]);
  });

  it.each(['/', '/home', '/home/ann', '~', '~/**', '/**', '~/../ann/**'])('never a home as a whole: %s', (item) => {
    const got = translated({ filesystem: { allowed_paths: [item] } });
    for (const path of all(got)) expect(['/', '/home', '/home/ann']).not.toContain(path);
    expect(told(got)).toEqual([['allowed_paths', item, 'narrower']]);
  });

  it('a home that is a link is known by both names', () => {
    const look = fakeLook({ '/home/ann': '/data/ann' });
    expect(all(translated({ filesystem: { allowed_paths: ['/data/ann', '/data'] } }, { look }))).not.toContain('/data/ann');
  });

  it.each([
    ['/home/ann/tools/agent/bin/agent', '/home/ann/tools/agent'],
    ['/home/ann/x/node_modules/.bin/agent', '/home/ann/x/node_modules'],
    ['/home/ann/agent', '/home/ann/agent'],
    // The folder above its `bin` is the home: that is left out.
    ['/home/ann/bin/agent', undefined],
  ])('the program %s brings %s', (program, folder) => {
    const { rules } = translated({}, { program, path: [] });
    const own = rules.exec.filter((path) => path.startsWith('/home/ann/') && !/^\/home\/ann\/(?:\.|go\/|work)/.test(path));
    expect(own).toEqual(folder === undefined ? [] : [folder]);
  });
});

it.each([
  [['server.mjs', '/home/ann/private/x.js'], '/home/ann/work/server.mjs'],
  [['--inspect', '/opt/tool/main.js'], '/opt/tool/main.js'],
  [['-e', 'code', '/home/ann/private/x.js'], undefined],
  [['/home/ann/private/notes'], undefined],
  [[], undefined],
])('of the arguments %j only the script that is run is granted', (args, script) => {
  const command = { program: '/usr/bin/node', args, cwd: '/home/ann/work', env: {} };
  expect(placesOf(command, { workspace: '/home/ann/work', home: '/home/ann', own: [] }).script).toBe(script);
});

describe('links', () => {
  it('a folder is granted where it leads to', () => {
    const look = fakeLook({ '/home/ann/projects': '/data/projects' });
    expect(translated({ filesystem: { allowed_paths: ['~/projects/**'] } }, { look }).rules.write).toContain('/data/projects');
  });

  it.each([
    ['/home/ann/work/out', ['out/**'], {}],
    ['/tmp/out', ['/tmp/out'], {}],
    // What an agent may write in one session must not be a way out in the next.
    ['/home/ann/projects/out', ['~/projects/**', '~/projects/out/**'], {}],
  ])('a link in a folder that agents write to, %s, is not followed out of it', (path, allowed) => {
    const look = fakeLook({ [path]: '/home/ann/.ssh' });
    const got = translated({ filesystem: { allowed_paths: allowed } }, { look });
    expect(all(got)).not.toContain('/home/ann/.ssh');
    expect(told(got)).toContainEqual(['allowed_paths', allowed.at(-1), 'narrower']);
  });

  it('nor is a program there that is a link', () => {
    const look = fakeLook({ '/home/ann/work/agent': '/home/ann/private/bin/agent' });
    expect(all(translated({}, { look, program: '/home/ann/work/agent' }))).not.toContain('/home/ann/private');
  });
});

describe('what cannot be expressed is told', () => {
  it.each([
    [
      'a forbidden path in the workspace',
      { filesystem: { forbidden_paths: ['secrets/**'] } },
      [['forbidden_paths', 'secrets/**', 'wider']],
    ],
    ['a forbidden path anywhere', { filesystem: { forbidden_paths: ['**/.env'] } }, [['forbidden_paths', '**/.env', 'wider']]],
    ['a wildcard below a granted folder', { filesystem: { forbidden_paths: ['/usr/*/x'] } }, [['forbidden_paths', '/usr/*/x', 'wider']]],
    ['a forbidden write in it', { filesystem: { forbidden_writes: ['.git/hooks'] } }, [['forbidden_writes', '.git/hooks', 'wider']]],
    ['endings', { filesystem: { forbidden_extensions: ['.pem'] } }, [['forbidden_extensions', '.pem', 'wider']]],
    ['domains', { network: { allowed_domains: ['a.example'] } }, [['allowed_domains', 'a.example', 'wider']]],
    ['forbidden domains', { network: { forbidden_domains: ['b.example'] } }, [['forbidden_domains', 'b.example', 'wider']]],
    ['commands', { process: { forbidden_commands: ['rm -rf /'] } }, [['forbidden_commands', 'rm -rf /', 'wider']]],
    ['allowed commands', { process: { allowed_commands: ['git'] } }, [['allowed_commands', 'git', 'wider']]],
    ['a folder with a wildcard', { filesystem: { allowed_paths: ['~/*/src'] } }, [['allowed_paths', '~/*/src', 'narrower']]],
    ['a folder that is not there', { filesystem: { allowed_paths: ['/gone/x'] } }, [['allowed_paths', '/gone/x', 'narrower']]],
    [
      'UDP, and ports of this host',
      { network: { allowed_ports: [443] } },
      [
        ['allowed_ports', undefined, 'wider'],
        ['allowed_ports', undefined, 'narrower'],
      ],
    ],
  ] satisfies readonly (readonly [string, ScopeDocument, unknown])[])('%s', (_, scope, expected) => {
    expect(told(translated(scope))).toEqual(expected);
  });

  it.each([
    ['~/.ssh/**', []],
    ['/root/**', []],
    ['~/private/*.key', []],
    ['/srv/data', []],
  ])('what is forbidden outside of all grants, %s, is kept by not granting it', (item, expected) => {
    const got = translated({ filesystem: { forbidden_paths: [item], forbidden_writes: ['/usr/**'] } });
    expect(told(got)).toEqual(expected);
  });

  it('a forbidden name takes away the grants of that name, and no others', () => {
    const got = translated({ filesystem: { allowed_paths: ['~/a/.env', '~/b'], forbidden_paths: ['**/.env'] } });
    expect(got.rules.write).toContain('/home/ann/b');
    expect(got.rules.write).not.toContain('/home/ann/a/.env');
    expect(got.rules.exec).toContain('/usr');
  });

  it('what is forbidden beats what is allowed', () => {
    const got = translated({ filesystem: { allowed_paths: ['~/projects/**'], forbidden_paths: ['~/projects/**'] } });
    expect(got.rules.write).not.toContain('/home/ann/projects');
    expect(told(got)).toEqual([['allowed_paths', '~/projects/**', 'narrower']]);
  });

  it('our own files in the workspace', () => {
    const own = ['/home/ann/work/.countersign/ledger.db', '/home/ann/.local/state-of-ours/x'];
    expect(told(translated({}, { own }))).toEqual([['own_files', own[0], 'wider']]);
  });

  it.each([
    [1, 4],
    [2, 3],
    [3, 2],
    [4, 2],
    [5, 1],
    [6, 0],
    [7, 0],
  ])('ABI %i has %i gaps', (abi, count) => {
    expect(translated({}, { abi }).unexpressed.filter(({ key }) => key === 'kernel')).toHaveLength(count);
  });

  it('an old kernel knows no ports: none is ruled about, and it says so', () => {
    const { rules, unexpressed } = translated({ network: { allowed_ports: [443] } }, { abi: 3 });
    expect(rules.connectPorts).toBeUndefined();
    expect(unexpressed.filter(({ key }) => key === 'allowed_ports').map(({ is }) => is)).toEqual(['wider']);
  });

  it('root', () => {
    expect(translated({}, { isRoot: true }).unexpressed.at(-1)?.why).toMatch(/as root/);
  });
});

it.each([
  ['~/a/**', { path: '/h/a' }],
  ['~/a/*', { path: '/h/a' }],
  ['a', { path: '/w/a' }],
  ['./a/../b/', { path: '/w/b' }],
  ['../../..', { path: '/' }],
  ['/a//b/./c', { path: '/a/b/c' }],
  ['/**', { path: '/' }],
  ['**/x', { below: '/' }],
  ['/a/b*/c', { below: '/a' }],
  ['/a*', { below: '/' }],
  ['src/*.ts', { below: '/w/src' }],
  ['[ab]', { below: '/' }],
])('the pattern %s means %j', (pattern, place) => {
  expect(placeOf(pattern, { home: '/h', workspace: '/w' })).toEqual(place);
});
