/**
 * One attack after the other on what every program has, under a probe: an attack replaces something, the secret is read in several ways,
 * and what was replaced is put back. Prints what got through, and what of the program's own was not left as it made it.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { installProbe } from '../../../src/probe/install.ts';
import { KEPT } from '../../../src/probe/intrinsics.ts';
import { ruleEngine } from '../../../src/rules/engine.ts';
import { loadScope } from '../../../src/scope/load.ts';

const [folder = '', secret = '', when = 'after'] = process.argv.slice(2);
const scope = loadScope({ document: { filesystem: { forbidden_paths: [secret] } } });
const engine = ruleEngine(scope, { workspace: folder, home: folder });
const told: string[] = [];
const install = () =>
  installProbe({
    judge: (activity) => engine.judge(activity),
    emit: (activity, verdict) => told.push(`${activity.action.kind} ${verdict.level}`),
  });

const { defineProperty, getOwnPropertyDescriptor, deleteProperty } = Reflect;
const say = (text: string): void => void fs.writeSync(1, text);
const stringify = JSON.stringify;

type Attack = readonly [name: string, owner: object, key: PropertyKey, by: (original: unknown) => PropertyDescriptor];
const value = (made: unknown): PropertyDescriptor => ({ value: made, writable: true, configurable: true, enumerable: false });
const LIES: readonly (readonly [string, (original: unknown) => PropertyDescriptor])[] = [
  ['undefined', () => value(() => undefined)],
  ['true', () => value(() => true)],
  ['empty', () => value(() => '')],
  [
    'throws',
    () =>
      value(() => {
        throw new Error('no');
      }),
  ],
  ['gone', () => value(undefined)],
  ['getter that always lies', () => ({ get: () => () => undefined, configurable: true })],
  // The very function that was there, in the other one's place.
  ['its own getter', (original) => ({ get: typeof original === 'function' ? (original as () => unknown) : () => '', configurable: true })],
  ['its getter as a value', (original) => value(original)],
];
const attacks: Attack[] = [];
for (const [name, owner, keys] of KEPT) {
  for (const key of keys) {
    // Without these Node itself does not run: there is nothing to attack with.
    if (owner === globalThis && ['process', 'Buffer', 'Symbol'].includes(String(key))) continue;
    const before = getOwnPropertyDescriptor(owner, key);
    if (before === undefined || before.configurable !== true) continue;
    for (const [lie, by] of LIES) attacks.push([`${name}.${String(key)}: ${lie}`, owner, key, by]);
  }
}
attacks.push(
  [
    'a setter for members of all lists',
    Array.prototype,
    '0',
    () => ({ set() {}, get: () => undefined, configurable: true, enumerable: true }),
  ],
  ['a member of everything', Object.prototype, 'resolved', () => ({ ...value('/tmp'), enumerable: true })],
  [
    'AsyncLocalStorage.getStore forges',
    AsyncLocalStorage.prototype,
    'getStore',
    () => value(() => ({ callId: 'f'.repeat(32), agent: 'a', session: 's' })),
  ],
);

// Ways to the secret that need nothing of what is replaced.
if (when === 'before') broken();
install();
const { readFileSync, openSync } = fs;
const asUrl = pathToFileURL(secret);
const bytes = Buffer.from(secret);
const options = { encoding: 'utf8' as const };
const WAYS: readonly (readonly [string, () => unknown])[] = [
  ['readFileSync', () => readFileSync(secret, 'utf8')],
  ['readFileSync with options', () => readFileSync(secret, options)],
  ['openSync', () => openSync(secret, 'r')],
  ['a URL', () => openSync(asUrl, 'r')],
  ['bytes', () => openSync(bytes, 'r')],
];
const getter = (act: () => void): { readonly encoding: 'utf8' } => ({
  get encoding() {
    act();
    return 'utf8' as const;
  },
});

let got = '';
let spoiled = '';
let tried = 0;
const isRefusal = (error: unknown): boolean => (error as { code?: unknown } | undefined)?.code === 'ACTIVITY_REFUSED';

for (let i = 0; i < attacks.length; i++) {
  const [name, owner, key, by] = attacks[i] as Attack;
  const before = getOwnPropertyDescriptor(owner, key);
  const during = by(before?.value ?? before?.get);
  for (let j = 0; j < WAYS.length; j++) {
    const [way, act] = WAYS[j] as (typeof WAYS)[number];
    let failure: unknown;
    let isDone = false;
    defineProperty(owner, key, during);
    try {
      act();
      isDone = true;
    } catch (error) {
      failure = error;
    }
    const now = getOwnPropertyDescriptor(owner, key);
    const isLeft = now?.value === during.value && now?.get === during.get;
    if (before === undefined) deleteProperty(owner, key);
    else defineProperty(owner, key, before);
    tried++;
    if (isDone) got += `${name} by ${way}; `;
    else if (!isRefusal(failure)) got += `${name} by ${way} was no refusal: ${String(failure)}; `;
    if (!isLeft) spoiled += `${name} by ${way}; `;
  }
  // The same from a getter of options, which runs while arguments are taken.
  let isDone = false;
  try {
    readFileSync(
      secret,
      getter(() => defineProperty(owner, key, during)),
    );
    isDone = true;
  } catch {
    // As it should be.
  }
  if (before === undefined) deleteProperty(owner, key);
  else defineProperty(owner, key, before);
  if (isDone) got += `${name} from a getter; `;
}
say(`${stringify({ tried, got, spoiled })}\n`);
process.exit(0);

/** What the probe is put in with does nothing any more, and stays so. */
function broken(): void {
  Object.defineProperty = ((owner: object) => owner) as typeof Object.defineProperty;
  Object.getOwnPropertyDescriptor = () => undefined;
  Object.entries = () => [];
  Map.prototype.get = () => undefined;
}
