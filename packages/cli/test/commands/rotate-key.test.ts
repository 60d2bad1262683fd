import { existsSync, linkSync, lstatSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey, readSigner, writeKeyFile } from '@countersign/core';
import { rotateKey } from '@countersign/core/sqlite';
import { describe, expect, it } from 'vitest';
import { calls, folder, json, project, run } from '../harness.ts';

const LEDGER = '.countersign/ledger.db';
const KEY = '.countersign/ledger.key';
const ORIGIN = 'countersign.local/bot';

async function filled(): Promise<{ readonly cwd: string; readonly oldVkey: string; readonly newVkey: string }> {
  const cwd = await project();
  await calls(cwd, [{ tool: 'read_file' }]);
  const { privatePem, vkey } = generateKey(ORIGIN);
  writeKeyFile(join(cwd, 'next.key'), privatePem);
  return { cwd, oldVkey: readFileSync(join(cwd, `${KEY}.pub`), 'utf8').trim(), newVkey: vkey };
}

const rotate = (cwd: string, ...more: string[]): ReturnType<typeof run> => run(['rotate-key', '--new-key', 'next.key', ...more], { cwd });

describe('rotate-key', () => {
  it('signs by both, puts the new key in place of the old, keeps the old one, and says who needs what', async () => {
    const { cwd, oldVkey, newVkey } = await filled();
    const done = json(await rotate(cwd, '--json'));
    const retired = join(cwd, `${KEY}.retired-${oldVkey.split('+')[1]}`);
    expect(done).toMatchObject({ old: oldVkey, new: newVkey, retired });
    expect(readSigner(join(cwd, KEY), ORIGIN).vkey).toBe(newVkey);
    expect(readSigner(retired, ORIGIN).vkey).toBe(oldVkey);
    expect(statSync(join(cwd, KEY)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(cwd, `${KEY}.pub`), 'utf8')).toBe(`${newVkey}\n`);
    expect(readFileSync(`${retired}.pub`, 'utf8')).toBe(`${oldVkey}\n`);
    expect(existsSync(join(cwd, 'next.key'))).toBe(false);
    // The configuration still opens the ledger, and both keys together prove it.
    await calls(cwd, [{ tool: 'read_file' }]);
    const size = String(done['size']);
    writeFileSync(join(cwd, 'keys'), `${oldVkey} until=${size}\n${newVkey} from=${size}\n`);
    expect((await run(['verify', LEDGER, '--public-key', 'keys'], { cwd })).code).toBe(0);
    const old = await run(['verify', LEDGER, '--public-key', oldVkey], { cwd });
    expect(old.code).toBe(3);
    expect(old.stdout).toContain(`NOT PROVEN  authorship: proven for the first ${size} entries`);
    expect(old.stdout).toContain(newVkey);
  });

  it('prints the lines a verifier needs', async () => {
    const { cwd, oldVkey, newVkey } = await filled();
    const ran = await rotate(cwd);
    const lines = ran.stdout.split('\n').map((line) => line.replace(/[0-9]+$/, 'N'));
    expect(lines).toContain(`  ${oldVkey} until=N`);
    expect(lines).toContain(`  ${newVkey} from=N`);
    expect(ran.stderr).toContain('restart the guards');
  });

  it('finishes what was interrupted after the commit, before the files were swapped', async () => {
    const { cwd, oldVkey, newVkey } = await filled();
    const [signer, next] = [readSigner(join(cwd, KEY), ORIGIN), readSigner(join(cwd, 'next.key'), ORIGIN)];
    const { size } = rotateKey({ path: join(cwd, LEDGER), origin: ORIGIN, signer, next });
    // As far as the first step of the swap.
    linkSync(join(cwd, KEY), join(cwd, `${KEY}.retired-${oldVkey.split('+')[1]}`));
    expect(json(await rotate(cwd, '--json'))).toMatchObject({ size, new: newVkey });
    expect(readSigner(join(cwd, KEY), ORIGIN).vkey).toBe(newVkey);
    await calls(cwd, [{ tool: 'read_file' }]);
  });

  it('leaves a key that is a link to whoever laid it, and tells what to change', async () => {
    const { cwd, newVkey } = await filled();
    mkdirSync(join(cwd, 'secrets'), { mode: 0o700 });
    renameSync(join(cwd, KEY), join(cwd, 'secrets/old.key'));
    symlinkSync(join(cwd, 'secrets/old.key'), join(cwd, KEY));
    const ran = await rotate(cwd);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain(`set ledger.key to ${join(cwd, 'next.key')}`);
    expect(lstatSync(join(cwd, KEY)).isSymbolicLink()).toBe(true);
    expect(readSigner(join(cwd, 'next.key'), ORIGIN).vkey).toBe(newVkey);
    const refused = await run(['verify', LEDGER, '--public-key', newVkey], { cwd });
    expect(refused.code).toBe(0);
    await expect(calls(cwd, [{ tool: 'read_file' }])).rejects.toThrow(newVkey);
  });

  it.each<[string, (cwd: string) => readonly string[], number]>([
    ['without a new key', () => [], 2],
    ['with the key in use', () => ['--new-key', KEY], 2],
    ['with a key that is not there', () => ['--new-key', 'nowhere.key'], 4],
    [
      'with a copy of the key in use',
      (cwd) => (writeFileSync(join(cwd, 'copy'), readFileSync(join(cwd, KEY)), { mode: 0o600 }), ['--new-key', 'copy']),
      1,
    ],
    [
      'with a key that others may read',
      (cwd) => (writeFileSync(join(cwd, 'open'), readFileSync(join(cwd, 'next.key')), { mode: 0o644 }), ['--new-key', 'open']),
      1,
    ],
  ])('changes nothing %s', async (_name, args, code) => {
    const { cwd, oldVkey } = await filled();
    const head = (await run(['head'], { cwd })).stdout;
    expect((await run(['rotate-key', ...args(cwd)], { cwd })).code).toBe(code);
    expect((await run(['head'], { cwd })).stdout).toBe(head);
    expect(readSigner(join(cwd, KEY), ORIGIN).vkey).toBe(oldVkey);
  });

  it('is refused inside a guarded process tree, and for a ledger that is not signed', async () => {
    const { cwd } = await filled();
    const ran = await run(['rotate-key', '--new-key', 'next.key'], { cwd, env: { COUNTERSIGN_GUARDED: '1' } });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('keys are rotated from outside');
    const unsigned = folder();
    writeFileSync(join(unsigned, 'countersign.yaml'), 'version: 1\nagent: a\npolicy: { id: p, rules: [] }\nledger: { sign: none }\n');
    expect((await run(['rotate-key', '--new-key', 'k'], { cwd: unsigned })).code).toBe(2);
  });

  it('never overwrites what stands where the old key would be kept', async () => {
    const { cwd, oldVkey, newVkey } = await filled();
    const retired = join(cwd, `${KEY}.retired-${oldVkey.split('+')[1]}`);
    writeFileSync(retired, 'mine');
    expect((await rotate(cwd)).code).toBe(1);
    expect(readFileSync(retired, 'utf8')).toBe('mine');
    // The ledger is the new key's already, whose file is where it was: moving the obstacle away and running again finishes.
    renameSync(retired, `${retired}.moved`);
    expect((await rotate(cwd)).code).toBe(0);
    expect(readSigner(join(cwd, KEY), ORIGIN).vkey).toBe(newVkey);
  });
});
