import { describe, expect, it } from 'vitest';
import { compileCondition } from '../../src/policy/conditions.ts';
import { policyInput } from './input.ts';

describe('path.name and path.extension', () => {
  it.each([
    ['path.name(args.p) == "report.pdf"', '/data/report.pdf'],
    ['path.name(args.p) == "data"', '/data/'],
    ['path.name(args.p) == ""', '/'],
    ['path.extension(args.p) == ".pdf"', '/data/Report.PDF'],
    ['path.extension(args.p) == ".gz"', 'a.tar.gz'],
    ['path.extension(args.p) == ""', '/data/.bashrc'],
    ['path.extension(args.p) == ""', '/da.ta/file'],
  ])('%s for %s', (source, p) => expect(compileCondition(source, 'w')(policyInput({ args: { p } }))).toBe(true));

  it.each([['/a\0b'], [['/a']], [5], [null], [{}]])('is no answer for %j', (p) => {
    expect(() => compileCondition('path.name(args.p) != "x"', 'w')(policyInput({ args: { p } }))).toThrow(/^w: /);
  });

  it('a misspelt namespace is told at load', () => {
    expect(() => compileCondition('pth.name(args.p) == "x"', 'w')).toThrow(/did you mean "path"/);
    expect(() => compileCondition('path.nam(args.p) == "x"', 'w')).toThrow(/CONDITION_INVALID|no matching overload|nam/);
  });
});
