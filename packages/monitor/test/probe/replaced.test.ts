/** Code that replaces what every program has, before the probe is on and after: what is refused stays refused, and no deed is another's. */
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { KEPT } from '../../src/probe/intrinsics.ts';
import { install, thrown } from './installed.ts';
import { lastJson, program, runNode, SOURCE } from './node.ts';

let folder: string;
let secret: string;

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'probe-'));
  secret = join(folder, 'secret.txt');
  writeFileSync(secret, 'THE SECRET');
  const made = folder;
  return () => rmSync(made, { recursive: true, force: true });
});

it.each(['after', 'before'])('replaced %s it was installed: nothing gets through, and the program keeps what it made', async (when) => {
  const ran = await runNode([SOURCE, '--no-warnings', program('replaced.ts'), folder, secret, when]);
  const { tried, got, spoiled } = lastJson<{ tried: number; got: string; spoiled: string }>(ran);
  expect({ got, spoiled }).toEqual({ got: '', spoiled: '' });
  expect(tried).toBeGreaterThan(5000);
});

it('a call that replaces what carries scopes gets hold of none, and its deeds stay its own', async () => {
  const ran = await runNode([SOURCE, '--no-warnings', program('forged-scopes.ts'), folder]);
  const { told, ...found } = lastJson<Record<string, unknown>>(ran);
  expect(found).toEqual({ wrong: 0, unattributed: 0, scopes: 0, isTwo: true });
  expect(told).toBeGreaterThanOrEqual(80);
});

it('what was replaced for good makes everything fail, since nothing can be judged', async () => {
  const lines = `Object.defineProperty(Map.prototype, 'get', { value: () => undefined, configurable: false, writable: false });`;
  const { readFile } = await import('node:fs/promises');
  const text = `const { installProbe } = await import(${JSON.stringify(new URL('../../src/probe/install.ts', import.meta.url).href)});
const fs = (await import('node:fs')).default;
installProbe({ judge: () => ({ level: 'SAFE', rule: 'none', reason: '', evaluator: 'rules', confidence: 1, evidence: [] }), emit: () => {} });
${lines}
let said = 'read';
try { fs.readFileSync(${JSON.stringify(secret)}); } catch (error) { said = error.message; }
process.stdout.write(JSON.stringify(said) + '\\n');`;
  const ran = await runNode([SOURCE, '--no-warnings', '--input-type=module', '-e', text]);
  expect(lastJson(ran)).toContain('replaced for good');
  expect(await readFile(secret, 'utf8')).toBe('THE SECRET');
});

it('a polyfill goes on working, and code of others runs with it', () => {
  const { probe, seen } = install('secret.txt', { level: 'FLAG' });
  const before = Object.getOwnPropertyDescriptor(Array.prototype, 'at') as PropertyDescriptor;
  try {
    const made = function at(this: readonly unknown[], index: number): unknown {
      return index === 41 ? 'polyfilled' : this[index < 0 ? this.length + index : index];
    };
    Object.defineProperty(Array.prototype, 'at', { ...before, value: made });
    expect(readFileSync(secret, 'utf8')).toBe('THE SECRET');
    expect([][Symbol.iterator]().next().done).toBe(true);
    expect(([] as unknown[]).at(41)).toBe('polyfilled');
  } finally {
    Object.defineProperty(Array.prototype, 'at', before);
  }
  expect(seen.length).toBeGreaterThan(0);
  probe.uninstall();
});

it('a getter of options that replaces something while they are taken changes nothing', () => {
  install('secret.txt');
  const includes = Object.getOwnPropertyDescriptor(String.prototype, 'includes') as PropertyDescriptor;
  const options = {
    get encoding(): BufferEncoding {
      String.prototype.includes = () => true;
      return 'utf8';
    },
  };
  try {
    expect(thrown(() => readFileSync(secret, options))).toMatchObject({ code: 'ACTIVITY_REFUSED' });
  } finally {
    Object.defineProperty(String.prototype, 'includes', includes);
  }
});

it('every method that the probe and its rules call by name is kept', () => {
  const folders = ['probe', 'rules', 'rules/families', 'scope'].map((name) => new URL(`../../src/${name}/`, import.meta.url));
  const sources = folders.flatMap((at) =>
    readdirSync(at)
      .filter(
        (name) => name.endsWith('.ts') && !['read-reports.ts', 'handover.ts', 'host-probe.ts', 'load.ts', 'intrinsics.ts'].includes(name),
      )
      .map((name) => readFileSync(new URL(name, at), 'utf8')),
  );
  const called = new Set(sources.flatMap((text) => [...text.matchAll(/\.(\w+)\s*\(/g)].map(([, name]) => name)));
  const missing = KEPT.filter(([name]) =>
    /^(?:Array|String|Map|Set|WeakMap|RegExp|Object|Reflect|Number|JSON|Math)(?:\.prototype)?$/.test(name),
  ).flatMap(([name, owner, keys]) =>
    Object.getOwnPropertyNames(owner).flatMap((key) =>
      called.has(key) && !keys.includes(key) && key !== 'constructor' ? [`${name}.${key}`] : [],
    ),
  );
  expect(missing).toEqual([]);
});
