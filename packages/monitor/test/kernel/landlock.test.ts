import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { confine, type LandlockRules, landlockAbi, MAX_GRANTS } from '../../src/kernel/landlock.ts';
import type { KernelCalls } from '../../src/native/kernel-calls.ts';
import { native, nativeMissing } from '../../src/native/native.ts';

const NONE: LandlockRules = { read: [], exec: [], write: [], devices: [] };
const CREATE = 444;
const RULE = 445;
const RESTRICT = 446;
const PORT = 2;

type Syscall = KernelCalls['syscall'];

/** Real opens, and a kernel whose Landlock answers as told. */
function calls(
  answer: (number: number, args: readonly (number | bigint)[]) => number | undefined,
  abi = 7,
): KernelCalls & { readonly made: string[] } {
  const real = native()?.kernel;
  if (real === undefined) throw new Error('no koffi');
  const made: string[] = [];
  const syscall: Syscall = (number, ...args) => {
    const isVersion = number === CREATE && args[2] === 1;
    if (!isVersion) made.push(number === RULE ? `rule ${String(args[1])}` : String(number));
    return answer(number, args) ?? (isVersion ? abi : number === CREATE ? real.eventfd() : 0);
  };
  return { ...real, syscall, made };
}

if (native() === undefined) console.warn(`SKIPPED: ${nativeMissing()}`);

describe.skipIf(native() === undefined)('putting landlock on', () => {
  it('a kernel without landlock is version 0, and nothing is put on', () => {
    for (const errno of [-38, -95]) {
      const none = calls(() => errno);
      expect(landlockAbi(none)).toBe(0);
      expect(confine(none, NONE)).toEqual({ failed: 'the kernel has no landlock', result: -38 });
      expect(none.made).toEqual([]);
    }
  });

  it.each([
    [CREATE, 'the landlock rules could not be made'],
    [RULE, 'a landlock rule could not be added'],
    [RESTRICT, 'landlock could not be put on'],
  ])('a kernel that refuses call %i fails it all', (refused, failed) => {
    const fake = calls((number, args) => (number === refused && args[2] !== 1 ? -1 : undefined));
    expect(confine(fake, { ...NONE, read: ['/usr'] })).toEqual({ failed, result: -1 });
    expect(fake.made.includes(String(RESTRICT))).toBe(refused === RESTRICT);
  });

  it('a port that is refused fails it all; a kernel that knows no ports is asked for none', () => {
    const ports = { ...NONE, connectPorts: [443] };
    const refusing = calls((number, args) => (number === RULE && args[1] === PORT ? -1 : undefined));
    expect(confine(refusing, ports)).toEqual({ failed: 'a landlock rule about a port could not be added', result: -1 });
    const old = calls(() => undefined, 3);
    expect(confine(old, ports)).toEqual({ abi: 3, ungranted: [] });
    expect(old.made).toEqual([String(CREATE), String(RESTRICT)]);
  });

  it('what is gone, or became a link, is not granted, and told', () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-landlock-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const link = join(folder, 'link');
    symlinkSync('/usr', link);
    const fake = calls(() => undefined);
    const read = ['/usr', join(folder, 'gone'), link, join(link, 'bin'), '/etc/passwd/x'];
    expect(confine(fake, { ...NONE, read })).toEqual({ abi: 7, ungranted: read.slice(1) });
    expect(fake.made).toEqual([String(CREATE), 'rule 1', String(RESTRICT)]);
  });

  it('no more than so many grants', () => {
    const fake = calls(() => undefined);
    const read = Array.from({ length: MAX_GRANTS + 1 }, (_, number) => `/usr/${number}`);
    expect(confine(fake, { ...NONE, read })).toEqual({ failed: 'too many paths for landlock', result: -7 });
    expect(fake.made).toEqual([]);
  });
});
