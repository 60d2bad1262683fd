import { describe, expect, it } from 'vitest';
import { interpreterIn } from '../../src/kernel/scripts.ts';

const read = (line: string): readonly [string, string | undefined] | undefined => {
  const found = interpreterIn(Buffer.from(line, 'latin1'));
  return found === undefined ? undefined : [found.program.toString('latin1'), found.argument];
};

describe('the first line of a script', () => {
  it.each<[string, string, string | undefined]>([
    ['#!/bin/sh\n', '/bin/sh', undefined],
    ['#! \t/bin/sh -e -x \t\necho', '/bin/sh', '-e -x'],
    ['#!/bin/sh', '/bin/sh', undefined],
    ['#!./sh\targ\n', './sh', 'arg'],
    ['#!/bin/sh\r\n', '/bin/sh\r', undefined],
    ['#!/bin/sh\0 -e\n', '/bin/sh', undefined],
    ['#!/bin/env -S a\0b\n', '/bin/env', '-S a'],
    // No text: its bytes are its name.
    ['#!/tmp/\xff\xfe x\n', '/tmp/\xff\xfe', 'x'],
  ])('%j', (line, program, argument) => {
    expect(read(line)).toEqual([program, argument]);
  });

  it.each(['', '#', '!#/bin/sh', ' #!/bin/sh', '#!', '#!\n/bin/sh', '#! \t\n', '\x7fELF', '#!\0/bin/sh'])('%j is none', (line) => {
    expect(read(line)).toBeUndefined();
  });
});
