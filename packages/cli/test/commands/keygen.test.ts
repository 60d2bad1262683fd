import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { parseVerifierKey, readSigner } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { folder, json, project, run } from '../harness.ts';

/** A terminal that types one answer after each question. */
function typing(answers: readonly string[]): PassThrough & { modes: boolean[] } {
  const left = [...answers];
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    modes,
    setRawMode(raw: boolean) {
      modes.push(raw);
      if (raw) stdin.write(left.shift() ?? '\u0003');
    },
  });
  return stdin;
}

describe('keygen', () => {
  it('writes a key for its owner only, and prints the verifier line', async () => {
    const cwd = folder();
    const ran = await run(['keygen', '--out', 'finance.key'], { cwd });
    expect(ran.code).toBe(0);
    expect(parseVerifierKey(ran.stdout.trim()).name).toBe('finance');
    expect(ran.stderr).toContain('NOT encrypted');
    const path = join(cwd, 'finance.key');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(`${path}.pub`, 'utf8')).toBe(ran.stdout);
    expect(readSigner(path, 'finance').vkey).toBe(ran.stdout.trim());
  });

  it('has this JSON shape', async () => {
    const cwd = folder();
    const result = json(await run(['keygen', '--out', 'k/a.key', '--name', 'x', '--json'], { cwd }));
    expect(Object.keys(result)).toEqual(['key', 'public_key', 'vkey', 'encrypted']);
    expect(result).toMatchObject({ key: join(cwd, 'k/a.key'), public_key: join(cwd, 'k/a.key.pub'), encrypted: false });
  });

  it('encrypts with a passphrase from a file', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'pass'), 'correct horse\nsecond line\n');
    const ran = await run(['keygen', '--out', 'a.key', '--passphrase-file', 'pass'], { cwd });
    expect(ran.stderr).toContain(', encrypted)');
    const path = join(cwd, 'a.key');
    expect(readSigner(path, 'a', 'correct horse').vkey).toBe(ran.stdout.trim());
    expect(() => readSigner(path, 'a')).toThrow('encrypted');
  });

  it('asks for it twice on a terminal, without showing it', async () => {
    const cwd = folder();
    const stdin = typing(['secret\r', 'secreT\r']);
    const ran = await run(['keygen', '--out', 'a.key'], { cwd, tty: true, stdin });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('the two passphrases differ');
    expect(existsSync(join(cwd, 'a.key'))).toBe(false);
    const again = typing(['secrex\u007ft\r', 'secret\r']);
    const done = await run(['keygen', '--out', 'a.key'], { cwd, tty: true, stdin: again });
    expect(done.code).toBe(0);
    expect(done.stdout + done.stderr).not.toContain('secret');
    expect(again.modes).toEqual([true, false, true, false]);
    expect(readSigner(join(cwd, 'a.key'), 'a', 'secret').vkey).toBe(done.stdout.trim());
  });

  it('makes nothing when the question is cut off, and gives the terminal back', async () => {
    const cwd = folder();
    const stdin = typing(['sec\u0003']);
    const ran = await run(['keygen', '--out', 'a.key'], { cwd, tty: true, stdin });
    expect(ran.code).toBe(2);
    expect(stdin.modes).toEqual([true, false]);
    expect(existsSync(join(cwd, 'a.key'))).toBe(false);
  });

  it('never overwrites', async () => {
    const cwd = folder();
    await run(['keygen', '--out', 'a.key'], { cwd });
    const before = readFileSync(join(cwd, 'a.key'), 'utf8');
    const ran = await run(['keygen', '--out', 'a.key'], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('never overwritten');
    expect(readFileSync(join(cwd, 'a.key'), 'utf8')).toBe(before);
  });

  it("names the ledger's key after its origin", async () => {
    const cwd = await project('', (text) => text.replace('ledger.key', 'other.key'));
    const ran = await run(['keygen', '--out', '.countersign/other.key'], { cwd });
    expect(parseVerifierKey(ran.stdout.trim()).name).toBe('countersign.local/bot');
  });

  it.each([
    [['keygen'], 2],
    [['keygen', '--out', 'a.key', '--name', 'a+b'], 1],
    [['keygen', '--out', 'a.key', '--name', 'a b'], 1],
    [['keygen', '--out', 'a.key', '--passphrase-file', 'nowhere'], 4],
    [['keygen', '--out', 'a.key', '--passphrase-file', 'empty'], 2],
    [['keygen', '--out', 'a.key', '--passphrase-file', 'long'], 2],
  ])('%j exits with %d and writes nothing', async (argv, code) => {
    const cwd = folder();
    writeFileSync(join(cwd, 'empty'), '\nsecond\n');
    writeFileSync(join(cwd, 'long'), 'x'.repeat(2000));
    const ran = await run(argv, { cwd });
    expect(ran.code).toBe(code);
    expect(existsSync(join(cwd, 'a.key'))).toBe(false);
  });
});
