/** Tries to have a secret loaded as a module, with the probe on. Prints what each way gave. */
import { writeFileSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as sqlite from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { installProbe } from '../../../src/probe/install.ts';

const [folder = ''] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const file = (name: string, text: string): string => {
  const path = join(folder, `canary-${name}`);
  writeFileSync(path, text);
  return path;
};
const json = file('a.json', '{"key":"the secret"}');
const script = file('b.cjs', 'module.exports = "the secret"');
const esm = file('c.mjs', 'export default "the secret"');
const text = file('d', 'module.exports = "the secret"');
const database = join(folder, 'canary.db');
installProbe({
  judge: ({ action }) => ({
    level: JSON.stringify(action).includes('canary') ? 'HALT' : 'SAFE',
    rule: 'canary',
    reason: '',
    evaluator: 'rules',
    confidence: 1,
    evidence: [],
  }),
  emit: () => {},
});
type Databases = typeof sqlite;
const { _load: load } = module as unknown as { _load(this: void, name: string): unknown };
const ways: Record<string, () => unknown> = {
  'import of JSON': () => import(pathToFileURL(json).href, { with: { type: 'json' } }),
  'import of CommonJS': () => import(pathToFileURL(script).href),
  'import of an ES module': () => import(`${pathToFileURL(esm).href}?x#y`),
  'require of JSON': () => require(json),
  'require of CommonJS': () => require(script),
  'require of an ES module': () => require(esm),
  'require without an extension': () => require(text),
  'Module._load': () => load(script),
  'sqlite by import': async () => new (await import('node:sqlite')).DatabaseSync(database),
  'sqlite by require': () => new (require('node:sqlite') as Databases).DatabaseSync(database),
  'sqlite by Module._load': () => new (load('node:sqlite') as Databases).DatabaseSync(database),
  'sqlite by getBuiltinModule': () => new (process.getBuiltinModule('node:sqlite').DatabaseSync)(database),
};
const got: Record<string, string> = {};
for (const [name, way] of Object.entries(ways)) {
  try {
    await way();
    got[name] = 'loaded';
  } catch (error) {
    got[name] = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
console.log(JSON.stringify(got));
