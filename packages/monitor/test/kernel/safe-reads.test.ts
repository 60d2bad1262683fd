/** Reads that need not be judged again, and those that are. */
import { describe, expect, it } from 'vitest';
import type { Place } from '../../src/kernel/paths.ts';
import { MAX_SAFE_READS, SafeReads } from '../../src/kernel/safe-reads.ts';
import type { Target } from '../../src/kernel/targets.ts';

function target(tid: number): Target {
  const actor = { pid: tid, start: 1, parent: 1 };
  return { ...actor, tid, actor };
}

const PLAIN: Place = { path: '/a/b', resolved: '/a/b' };

function knowing(...places: readonly Place[]): { readonly reads: SafeReads; readonly who: Target } {
  const reads = new SafeReads({ form: 'countersign' });
  const who = target(1);
  for (const place of places) reads.add(who, place);
  return { reads, who };
}

describe('reads that were safe', () => {
  it('are known again, of the same process, by both spellings', () => {
    const { reads, who } = knowing(PLAIN, { path: '/link', resolved: '/a/b' });
    expect(reads.has(who, { ...PLAIN })).toBe(true);
    expect(reads.has(who, { path: '/link', resolved: '/a/b' })).toBe(true);
  });

  it.each<[string, Place]>([
    ['another file', { path: '/a/c', resolved: '/a/c' }],
    ['the same name that leads elsewhere by now', { path: '/a/b', resolved: '/secret' }],
    ['another name that leads there', { path: '/other', resolved: '/a/b' }],
    ['a name that holds both', { path: '/a/b\u0000', resolved: '/a/b' }],
    ['a name whose way is not known', { path: '/a/b' }],
  ])('%s is none of them', (_, place) => {
    const { reads, who } = knowing(PLAIN);
    expect(reads.has(who, place)).toBe(false);
  });

  it('are of one program: another process, or the same one as another program, is judged anew', () => {
    const { reads, who } = knowing(PLAIN);
    expect(reads.has(target(2), PLAIN)).toBe(false);
    // Looked up anew after an exec.
    expect(reads.has(target(who.tid), PLAIN)).toBe(false);
  });

  it.each<[string, Place]>([
    ['in /proc, which is about others', { path: '/proc/1/status', resolved: '/proc/1/status' }],
    ['that leads into /proc', { path: '/link', resolved: '/proc/1/mem' }],
    ['named through /proc', { path: '/proc/self/cwd/a', resolved: '/a' }],
    ['that goes up again', { path: '/a/../b', resolved: '/b' }],
    ['whose way is not known', { path: '/a' }],
  ])('a file %s is never one', (_, place) => {
    const { reads, who } = knowing(place);
    expect(reads.has(who, place)).toBe(false);
  });

  it('are all forgotten at once, and begin anew when there are too many', () => {
    const { reads, who } = knowing(PLAIN);
    reads.forget();
    expect(reads.has(who, PLAIN)).toBe(false);
    for (let i = 0; i < MAX_SAFE_READS; i++) reads.add(who, { path: `/${i}`, resolved: `/${i}` });
    expect(reads.has(who, { path: '/0', resolved: '/0' })).toBe(true);
    reads.add(who, PLAIN);
    expect(reads.has(who, { path: '/0', resolved: '/0' })).toBe(false);
    expect(reads.has(who, PLAIN)).toBe(true);
  });

  it('are not used under a scope that counts them', () => {
    const reads = new SafeReads({ form: 'nested' });
    const who = target(1);
    reads.add(who, PLAIN);
    expect(reads.has(who, PLAIN)).toBe(false);
  });
});
