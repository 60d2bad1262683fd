import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChangedFiles } from '../../src/config/changed-files.ts';
import { watchedFiles } from '../../src/file-watch.ts';
import { CountersignError, type Guard, loadConfig, type PolicyWatch, type WatchPolicyOptions, watchPolicy } from '../../src/index.ts';
import { type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn, tempDirectory } from '../fixtures/ledger.ts';

const yaml = (version: number | string, more = ''): string =>
  `version: 1\nagent: tester\npolicy: { id: p, version: "${version}", default: deny, rules: [{ id: r, tools: ["a"], effect: allow }] }\n${more}`;

interface Followed {
  readonly path: string;
  readonly store: MemoryStore;
  readonly guard: Guard;
  readonly watch: PolicyWatch;
  readonly errors: string[];
  readonly topics: () => readonly string[];
  readonly version: () => string | undefined;
}

const open: Followed[] = [];
afterEach(async () => {
  for (const { watch } of open.splice(0)) await watch.close();
  if (watchedFiles().length > 0) throw new Error('a watch was left open');
});

function follow(text = yaml(1), options: WatchPolicyOptions = {}, path = join(tempDirectory(), 'countersign.yaml')): Followed {
  writeFileSync(path, text);
  const config = loadConfig(path, { env: options.env ?? {} });
  const store = memoryStore();
  const guard = guardOn(store, { policy: config.policy });
  const errors: string[] = [];
  const onError = (error: Error): number => errors.push(CountersignError.is(error) ? error.code : error.message);
  const watch = watchPolicy(guard, config, { env: {}, onError, ...options });
  const followed = {
    path,
    store,
    guard,
    watch,
    errors,
    topics: () => store.entries().flatMap((entry) => (entry.kind === 'note' ? [entry.topic] : [])),
    version: () => guard.policy.version,
  };
  open.push(followed);
  return followed;
}
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 20 });

describe('watchPolicy', () => {
  it('puts a file that was written in force by itself', async () => {
    const { path, version, topics, errors } = follow();
    writeFileSync(path, yaml(2));
    await until(() => expect(version()).toBe('2'));
    expect(topics()).toEqual(['policy-changed']);
    expect(errors).toEqual([]);
  });

  it('follows a file that is replaced by rename, again and again', async () => {
    const { path, version } = follow();
    for (const next of [2, 3, 4]) {
      writeFileSync(`${path}.new`, yaml(next));
      renameSync(`${path}.new`, path);
      await until(() => expect(version()).toBe(String(next)));
    }
  });

  it('follows a link that is turned to another file', async () => {
    const folder = tempDirectory();
    writeFileSync(join(folder, 'one.yaml'), yaml(1));
    writeFileSync(join(folder, 'two.yaml'), yaml(2));
    const path = join(folder, 'countersign.yaml');
    symlinkSync('one.yaml', path);
    const { version } = follow(yaml(1), {}, path);
    symlinkSync('two.yaml', `${path}.new`);
    renameSync(`${path}.new`, path);
    await until(() => expect(version()).toBe('2'));
  });

  it('keeps the last good policy when the file is deleted, and takes the one that comes', async () => {
    const { path, version, errors, topics } = follow();
    unlinkSync(path);
    await until(() => expect(errors).toEqual(['CONFIG_NOT_FOUND']));
    expect(version()).toBe('1');
    writeFileSync(path, yaml(2));
    await until(() => expect(version()).toBe('2'));
    expect(topics()).toEqual(['policy-rejected', 'policy-changed']);
  });

  it('a thousand changes in a row are few, and the last one is in force', async () => {
    const { path, version, topics } = follow();
    for (let change = 2; change <= 1000; change++) writeFileSync(path, yaml(change));
    await until(() => expect(version()).toBe('1000'));
    expect(topics().length).toBeLessThan(20);
  });
});

describe('reload', () => {
  it.each([
    ['a rule that is none', yaml(2).replace('effect: allow', 'effect: alow'), 'CONFIG_INVALID'],
    ['half a file', yaml(2).slice(0, 60), 'CONFIG_INVALID'],
    ['an empty file', '', 'CONFIG_INVALID'],
    ['a condition that does not compile', yaml(2).replace('effect: allow', 'effect: allow, when: "1 +"'), 'CONFIG_INVALID'],
    ['another format version', yaml(2).replace('version: 1', 'version: 2'), 'CONFIG_INVALID'],
    ['no text', '\0\xff', 'CONFIG_INVALID'],
    ['a file past the limit', `${yaml(2)}#${' '.repeat(1_100_000)}`, 'CONFIG_INVALID'],
  ])('keeps the last good policy for %s, tells it, and records it once', async (_name, text, code) => {
    const { path, watch, version, errors, topics, guard } = follow();
    writeFileSync(path, text);
    await watch.reload();
    writeFileSync(path, text);
    await watch.reload();
    expect(version()).toBe('1');
    expect(errors).toEqual([code, code]);
    expect(topics()).toEqual(['policy-rejected']);
    expect((await guard.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('permit');
    expect((await guard.authorize({ tool: { name: 'b' }, args: {} })).kind).toBe('refusal');
  });

  it('records the place of the fault and nothing of the file', async () => {
    const { path, watch, store } = follow();
    writeFileSync(path, `${yaml(2)}redaction: { values: [hunter2hunter2], valuez: [x] }\n`);
    await watch.reload();
    expect(store.entries()).toMatchObject([{ topic: 'policy-rejected', data: { agent: 'tester', code: 'CONFIG_INVALID', line: 4 } }]);
    expect(JSON.stringify(store.entries())).not.toContain('hunter2');
  });

  it('writes nothing for comments, and for what is changed back', async () => {
    const { path, watch, topics, errors } = follow();
    writeFileSync(path, `# a comment\n${yaml(1)}`);
    await watch.reload();
    writeFileSync(path, yaml(1));
    await watch.reload();
    expect([topics(), errors]).toEqual([[], []]);
  });

  it('tells once that more than the policy changed, and runs the new policy in the old mode', async () => {
    const { path, watch, version, errors } = follow();
    writeFileSync(path, yaml(2, 'mode: audit\n'));
    await watch.reload();
    await watch.reload();
    expect(version()).toBe('2');
    expect(errors).toEqual(['CONFIG_CHANGED']);
    writeFileSync(path, yaml(3, 'mode: audit\nbudgets: [{ id: b, per: agent, limit: 1 }]\n'));
    await watch.reload();
    expect(errors).toEqual(['CONFIG_CHANGED', 'CONFIG_CHANGED']);
    writeFileSync(path, yaml(3));
    await watch.reload();
    expect(errors).toHaveLength(2);
  });

  it('does not loosen the default of packs when a file that runs in enforce asks for audit', async () => {
    const packs = 'version: 1\nagent: tester\npolicy: { packs: [baseline] }\n';
    const { path, watch, guard } = follow(packs);
    writeFileSync(path, `${packs}mode: audit\n`);
    await watch.reload();
    expect((await guard.authorize({ tool: { name: 'anything' }, args: {} })).kind).toBe('refusal');
  });

  it('takes overrides of the environment for no change', async () => {
    const env = { COUNTERSIGN_MODE: 'confirm', COUNTERSIGN_AGENT: 'other', COUNTERSIGN_LEDGER: '/tmp/x.db' };
    const { watch, errors, topics } = follow(yaml(1), { env });
    await watch.reload();
    expect([topics(), errors]).toEqual([[], []]);
  });

  it('refuses a decision point that nobody can ask', async () => {
    const { path, watch, version, errors } = follow();
    writeFileSync(path, yaml(2).replace('id: p,', 'id: p, authzen: { url: "https://decisions.example" },'));
    await watch.reload();
    expect([version(), errors]).toEqual(['1', ['OPTIONS_INVALID']]);
  });

  it('keeps the old policy while the ledger fails, tells it once, and tries again', async () => {
    const { path, watch, version, errors, store } = follow();
    store.failWith(new CountersignError('LEDGER_WRITE_FAILED', 'full'));
    writeFileSync(path, yaml(2));
    await watch.reload();
    await watch.reload();
    expect([version(), errors]).toEqual(['1', ['LEDGER_WRITE_FAILED']]);
    store.failWith(undefined);
    await until(() => expect(version()).toBe('2'));
  });

  it('a listener that throws stops nothing', async () => {
    const { path, watch, version } = follow(yaml(1), {
      onError: () => {
        throw new Error('no');
      },
    });
    writeFileSync(path, 'x');
    await watch.reload();
    writeFileSync(path, yaml(2));
    await watch.reload();
    expect(version()).toBe('2');
  });

  it('does nothing when the file says so, or there is none', async () => {
    const { path, watch, version } = follow(yaml(1).replace('id: p,', 'id: p, reload: false,'));
    expect(watchedFiles()).toEqual([]);
    writeFileSync(path, yaml(2));
    await watch.reload();
    expect(version()).toBe('1');
  });

  it('keeps the last good policy when the permission to read is gone', async ({ skip }) => {
    if (process.getuid?.() === 0) skip('root reads everything');
    const { path, watch, version, errors } = follow();
    chmodSync(path, 0);
    await watch.reload();
    expect([version(), errors]).toEqual(['1', ['CONFIG_INVALID']]);
  });

  it('keeps the last good policy when a folder or a dangling link lies there', async () => {
    const { path, watch, version, errors } = follow();
    rmSync(path);
    mkdirSync(path);
    await watch.reload();
    rmSync(path, { recursive: true });
    symlinkSync('nowhere', path);
    await watch.reload();
    expect([version(), errors]).toEqual(['1', ['CONFIG_INVALID', 'CONFIG_NOT_FOUND']]);
  });
});

describe('ChangedFiles', () => {
  it('calls files settled only when two looks in a row found the same', () => {
    const path = join(tempDirectory(), 'file');
    const files = new ChangedFiles([path]);
    expect(files.look()).toBe('moving');
    expect(files.look()).toBe('settled');
    expect(files.take()).toBe(true);
    expect(files.look()).toBe('same');
    for (let size = 1; size < 5; size++) {
      writeFileSync(path, 'x'.repeat(size));
      expect(files.look()).toBe('moving');
    }
    expect(files.look()).toBe('settled');
  });

  it('does not take what changed after it was looked at', () => {
    const path = join(tempDirectory(), 'file');
    writeFileSync(path, 'one');
    const files = new ChangedFiles([path]);
    files.look();
    files.look();
    writeFileSync(path, 'other');
    expect(files.take()).toBe(false);
    expect(files.look()).toBe('moving');
  });

  it('finds a change of the same length, and other files', () => {
    const folder = tempDirectory();
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    writeFileSync(one, 'a');
    const files = new ChangedFiles([one]);
    files.look();
    files.take();
    renameSync(one, two);
    writeFileSync(one, 'b');
    expect(files.look()).toBe('moving');
    files.take();
    expect(files.follow([one])).toBe(false);
    expect(files.follow([one, two])).toBe(true);
    expect(files.look()).toBe('settled');
    expect(files.take()).toBe(true);
    unlinkSync(two);
    expect(files.look()).toBe('moving');
  });
});
