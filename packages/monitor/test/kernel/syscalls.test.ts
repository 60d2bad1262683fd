import { existsSync, readFileSync } from 'node:fs';
import { arch as here } from 'node:process';
import { expect, it } from 'vitest';
import { callNames } from '../../src/kernel/notification.ts';
import { ARCHS, archTable } from '../../src/kernel/syscalls.ts';

/** The kernel's own numbers, where its headers are installed. */
const HEADERS = [
  ['x64', ['/usr/include/asm/unistd_64.h', '/usr/include/x86_64-linux-gnu/asm/unistd_64.h']],
  ['arm64', ['/usr/include/asm-generic/unistd.h']],
] as const;
/** Newer than the headers of some distributions. */
const NEW = new Set(['open_tree_attr']);

it.for(HEADERS)('numbers of %s are those of the kernel headers', ([arch, paths], context) => {
  const path = paths.find((each) => existsSync(each));
  if (path === undefined) return context.skip(`no kernel header: ${paths.join(', ')}`);
  const known = new Map(
    [...readFileSync(path, 'latin1').matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)].map(([, name, number]) => [
      name ?? '',
      Number(number),
    ]),
  );
  expect(known.size).toBeGreaterThan(250);
  for (const [name, number] of archTable(arch)?.numbers ?? [])
    if (!NEW.has(name) || known.has(name)) expect([name, number]).toEqual([name, known.get(name)]);
  // Calls we know on one architecture are known on the other, where it has them.
  for (const { numbers } of ARCHS.values())
    for (const name of numbers.keys()) if (known.has(name)) expect([name, archTable(arch)?.numbers.has(name)]).toEqual([name, true]);
});

it('no number has two names', () => {
  for (const [arch, { numbers }] of ARCHS) {
    expect(new Set(numbers.values()).size).toBe(numbers.size);
    expect(callNames(arch).size).toBe(numbers.size);
  }
});

it('the architecture this runs on is known, and what is none is not', () => {
  expect(archTable(here)).toBeDefined();
  for (const arch of ['', 'ia32', 'arm', 'constructor', '__proto__']) expect(archTable(arch)).toBeUndefined();
});
