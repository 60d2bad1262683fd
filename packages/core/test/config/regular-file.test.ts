import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CountersignError, createGuard, loadConfig, loadPolicyFile, watchPolicy } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { tempDirectory } from '../fixtures/ledger.ts';

const YAML = 'version: 1\nagent: a\npolicy: { id: p, rules: [] }\n';

describe.skipIf(process.platform === 'win32')('a configuration', () => {
  const folder = tempDirectory();
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  mkdirSync(join(folder, 'folder'));
  writeFileSync(join(folder, 'large'), `# ${'x'.repeat(1_048_576)}\n${YAML}`);
  writeFileSync(join(folder, 'no-text'), Buffer.from([0xff, 0xfe]));

  it.each<[string, string, RegExp]>([
    ['a pipe that nobody writes to', pipe, /is not a regular file/],
    ['a device without an end', '/dev/zero', /is not a regular file/],
    ['a folder', join(folder, 'folder'), /is not a regular file/],
    ['too large', join(folder, 'large'), /larger than 1048576 bytes/],
    ['no text', join(folder, 'no-text'), /not UTF-8 text/],
  ])('that is %s is refused, and never waited for', (_what, path, message) => {
    for (const load of [() => loadConfig(path, { env: {} }), () => loadPolicyFile(path)])
      expect(load).toThrowError(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }));
  });

  it('that a pipe is laid over does not stop a running guard', async () => {
    const path = join(folder, 'countersign.yaml');
    writeFileSync(path, YAML);
    const config = loadConfig(path, { env: {} });
    const errors: string[] = [];
    const guard = createGuard({ agent: 'a', policy: config.policy, store: memoryStore() });
    const watch = watchPolicy(guard, config, { env: {}, onError: (error) => errors.push((error as CountersignError).code) });
    execFileSync('rm', [path]);
    execFileSync('mkfifo', [path]);
    await watch.reload();
    await watch.close();
    expect([errors, guard.policy.hash]).toEqual([['CONFIG_INVALID'], config.policy.hash]);
  });

  it.skipIf(process.getuid?.() === 0)('that may not be read is said to be so', () => {
    const path = join(folder, 'locked');
    writeFileSync(path, YAML);
    chmodSync(path, 0);
    expect(() => loadConfig(path, { env: {} })).toThrowError(/cannot be read \(EACCES\)/);
  });
});
