import { readFileSync } from 'node:fs';
import type { ScopeDocument } from '@countersign/core';
import { expect, it } from 'vitest';
import { landlockRules } from '../../src/sandbox/landlock-rules.ts';
import type { Look, Places } from '../../src/sandbox/places.ts';
import { mayConnect, srtSettings } from '../../src/sandbox/srt-settings.ts';
import { SCOPE_KEYS, type ScopeKey, type Unexpressed } from '../../src/sandbox/unexpressed.ts';
import { loadScope } from '../../src/scope/load.ts';

const GUIDE = readFileSync(new URL('../../../../docs/guides/kernel-control.md', import.meta.url), 'utf8');
const PLACES: Places = {
  workspace: '/home/ann/work',
  home: '/home/ann',
  tmp: ['/tmp'],
  program: '/usr/bin/node',
  path: [],
  own: [],
  isRoot: false,
};
const FILES = new Set([
  '/home',
  '/home/ann',
  '/home/ann/work',
  '/home/ann/work/key.pem',
  '/home/ann/work/rules',
  '/home/ann/.agent',
  '/usr',
  '/srv',
  '/tmp',
]);
const LOOK: Look = {
  real: (path) => (FILES.has(path) ? path : undefined),
  entries: (folder) =>
    [...FILES]
      .filter((path) => path.slice(0, path.lastIndexOf('/')) === folder)
      .map((path) => ({ name: path.slice(folder.length + 1), isFolder: !path.endsWith('.pem') })),
};

/** Ways to use a key, easy and hard ones. */
const SAMPLES: Readonly<Record<ScopeKey, readonly ScopeDocument[]>> = {
  allowed_paths: [['/srv'], ['~/*/src']].map((allowed_paths) => ({ filesystem: { allowed_paths } })),
  forbidden_paths: [['~/.ssh/**'], ['**/.env'], ['rules']].map((forbidden_paths) => ({ filesystem: { forbidden_paths } })),
  forbidden_writes: [['/etc/**'], ['rules/**'], ['later/**']].map((forbidden_writes) => ({ filesystem: { forbidden_writes } })),
  forbidden_extensions: [{ filesystem: { forbidden_extensions: ['.pem'] } }],
  agent_files: [['~/.agent'], ['~/.agent*/x']].map((agent_files) => ({ filesystem: { agent_files } })),
  allowed_domains: [{ network: { allowed_domains: ['b.example'] } }],
  forbidden_domains: [{ network: { forbidden_domains: ['a.example'] } }],
  allowed_ports: [{ network: { allowed_ports: [80] } }],
  allowed_commands: [{ process: { allowed_commands: ['git'] } }],
  forbidden_commands: [{ process: { forbidden_commands: ['curl'] } }],
  behavior: [{ behavior: { max_spawns: 1 } }],
};

interface Translated {
  /** All that is done. */
  readonly does: unknown;
  readonly unexpressed: readonly Unexpressed[];
}

const WAYS: Readonly<Record<'landlock' | 'sandbox-runtime', (document: ScopeDocument) => Translated>> = {
  landlock: (document) => {
    const { rules, unexpressed } = landlockRules(loadScope({ document }), PLACES, 7, LOOK);
    return { does: rules, unexpressed };
  },
  'sandbox-runtime': (document) => {
    const scope = loadScope({ document });
    const { files, unexpressed } = srtSettings(scope, PLACES, LOOK);
    return { does: [files, mayConnect(scope, 'a.example', 443)], unexpressed };
  },
};

function expressed(key: ScopeKey, translate: (document: ScopeDocument) => Translated): 'yes' | 'partly' | 'no' {
  const nothing = translate({});
  const before = new Set(nothing.unexpressed.map((each) => JSON.stringify(each)));
  const results = SAMPLES[key].map((sample) => {
    const { does, unexpressed } = translate(sample);
    const lacks = unexpressed.filter((each) => each.key === key && (each.is === 'wider' || !before.has(JSON.stringify(each))));
    return { isWhole: lacks.length === 0, isNoticed: JSON.stringify(does) !== JSON.stringify(nothing.does) };
  });
  if (results.every(({ isWhole }) => isWhole)) return 'yes';
  return results.some(({ isWhole, isNoticed }) => isWhole || isNoticed) ? 'partly' : 'no';
}

function cells(key: string): readonly string[] {
  const row = GUIDE.split('\n').find((line) => line.startsWith(`| \`${key}\` |`));
  return (row ?? '').split('|').map((cell) => cell.trim().split(/[:,]/)[0] ?? '');
}

it.each(SCOPE_KEYS.flatMap((key) => [[key, 'landlock', 5] as const, [key, 'sandbox-runtime', 6] as const]))(
  'the guide says of %s what %s makes of it',
  (key, way, column) => {
    expect(cells(key)[column]).toBe(expressed(key, WAYS[way]));
  },
);
