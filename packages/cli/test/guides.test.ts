/** Every snippet of the guides is checked: configuration is loaded, commands are parsed, programs are parts of files that run. */
import { readdirSync, readFileSync } from 'node:fs';
import { parseConfig } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { commandOf, parseArguments } from '../src/arguments.ts';
import { allCommands } from '../src/commands/index.ts';

const COMMANDS = await allCommands();

const ROOT = new URL('../../../', import.meta.url);
const GUIDES = new URL('docs/guides/', ROOT);
const SCRIPTS: object = (JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { readonly scripts: object }).scripts;
const guides = readdirSync(GUIDES).filter((name) => name.endsWith('.md'));

describe.each(guides)('docs/guides/%s', (name) => {
  const blocks = [...readFileSync(new URL(name, GUIDES), 'utf8').matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  const snippets = blocks.map(([, language = '', code = '']) => ({ language, code, title: code.split('\n', 1)[0] ?? '' }));

  it('has snippets, each in a language that is checked here, or text', () => {
    expect(snippets.length).toBeGreaterThan(0);
    expect(snippets.map(({ language }) => language).filter((language) => !CHECKED.has(language))).toEqual([]);
  });

  it.each(snippets.filter(({ language }) => language === 'yaml'))('yaml: $title', ({ code }) => {
    expect(() => parseConfig(completed(code), { path: 'guide.yaml' })).not.toThrow();
  });

  it.each(snippets.filter(({ language }) => language === 'sh'))('sh: $title', ({ code }) => {
    const lines = code.split('\n').filter((line) => line.startsWith('countersign '));
    const scripts = [...code.matchAll(/^npm run (\S+)/gm)].map(([, script]) => script);
    const installs = [...code.matchAll(/^npm install (.+)/gm)].map(([, named = '']) => named.split(' '));
    expect(lines.length + scripts.length + installs.length).toBeGreaterThan(0);
    for (const named of installs) expect(named).toEqual(expect.arrayContaining(named.flatMap(neededBeside)));
    for (const script of scripts) expect(Object.keys(SCRIPTS)).toContain(script);
    for (const line of lines) {
      const argv = words(line).slice(1);
      expect(() => parseArguments(argv, commandOf(argv, COMMANDS)), line).not.toThrow();
    }
  });

  it.each(snippets.filter(({ language }) => language === 'ts' || language === 'python'))('$language: $title', ({ code }) => {
    expect(programs().some((program) => program.includes(unindented(code)))).toBe(true);
  });
});

/** `text` shows what is printed. */
const CHECKED: ReadonlySet<string> = new Set(['yaml', 'sh', 'ts', 'python', 'json', 'text']);

/** A fragment with what a configuration needs besides. */
function completed(fragment: string): string {
  const missing = ['version: 1', 'agent: guide', 'policy: { id: guide, rules: [] }'];
  return [...missing.filter((line) => !new RegExp(`^${line.split(':', 1)[0]}:`, 'm').test(fragment)), fragment].join('\n');
}

/** The words of a command line, as far as guides need it: quotes, and comments after a space. */
function words(line: string): readonly string[] {
  return [...line.matchAll(/\s+(?:(#.*)|"([^"]*)"|'([^']*)'|(\S+))|^(\S+)/g)].flatMap(([, comment, double, single, plain, first]) =>
    comment === undefined ? [double ?? single ?? plain ?? first ?? ''] : [],
  );
}

/** What a package of ours cannot be imported without, and what it is made with in every guide. */
function neededBeside(name: string): readonly string[] {
  if (!name.startsWith('@countersign/')) return [];
  const path = `packages/${name.slice('@countersign/'.length)}/package.json`;
  const manifest = JSON.parse(readFileSync(new URL(path, ROOT), 'utf8')) as Manifest;
  const peers = Object.keys(manifest.peerDependencies ?? {}).filter((peer) => manifest.peerDependenciesMeta?.[peer]?.optional !== true);
  return peers.length === 0 ? [] : ['@countersign/core', ...peers];
}

interface Manifest {
  readonly peerDependencies?: { readonly [name: string]: string };
  readonly peerDependenciesMeta?: { readonly [name: string]: { readonly optional?: boolean } };
}

let loaded: readonly string[] | undefined;

/** What runs in the tests: programs of the examples and of the packages' READMEs, and the tests themselves. */
function programs(): readonly string[] {
  const packages = readdirSync(new URL('packages/', ROOT)).map((name) => `packages/${name}`);
  const files = ['examples', ...packages.map((path) => `${path}/test`)].flatMap((folder) => filesOf(folder));
  loaded ??= [...files.map((file) => textOf(file)), ...RUN_BY_README_TESTS.map((file) => firstProgram(textOf(file)))].map(unindented);
  return loaded;
}

const RUN_BY_README_TESTS: readonly string[] = ['packages/langchain/README.md', 'packages/vercel-ai/README.md'];

function firstProgram(readme: string): string {
  return /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
}

function textOf(file: string): string {
  return readFileSync(new URL(file, ROOT), 'utf8');
}

function filesOf(folder: string): readonly string[] {
  const files = readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /\.(?:tsx?|py)$/.test(file) && !file.includes('node_modules')).map((file) => `${folder}/${file}`);
}

function unindented(code: string): string {
  return code
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .trim();
}
