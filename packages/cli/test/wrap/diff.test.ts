import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unifiedDiff } from '../../src/wrap/diff.ts';

/** What `patch` would make of it. */
function patched(before: string, diff: readonly string[]): string {
  const lines = before.split('\n');
  const out: string[] = [];
  let next = 0;
  for (const line of diff.slice(2)) {
    const header = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line);
    if (header !== null) {
      const start = Number(header[1]) - (header[2] === '0' ? 0 : 1);
      while (next < start) out.push(lines[next++] ?? '');
      expect(out.length).toBe(Number(header[3]) - (header[4] === '0' ? 0 : 1));
    } else if (line.startsWith('+')) out.push(line.slice(1));
    else {
      expect(lines[next]).toBe(line.slice(1));
      if (line.startsWith(' ')) out.push(line.slice(1));
      next++;
    }
  }
  return [...out, ...lines.slice(next)].join('\n');
}

describe('a unified diff', () => {
  it('shows three lines around a change', () => {
    expect(unifiedDiff('1\n2\n3\n4\n5\n6\n7\n8\n9', '1\n2\n3\n4\nfive\n6\n7\n8\n9', 'f')).toEqual([
      '--- f',
      '+++ f',
      '@@ -2,7 +2,7 @@',
      ' 2',
      ' 3',
      ' 4',
      '-5',
      '+five',
      ' 6',
      ' 7',
      ' 8',
    ]);
  });

  it('is empty when nothing changed', () => {
    expect(unifiedDiff('a\n', 'a\n', 'f')).toEqual([]);
  });

  it('applied to the first text gives the second', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd', ''), { maxLength: 40 }).map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const diff = unifiedDiff(before, after, 'f');
        expect(diff.length === 0 ? before : patched(before, diff)).toBe(after);
      }),
    );
  });

  it('of two long and unlike files ends', () => {
    const before = Array.from({ length: 5_000 }, (_, index) => `a${index}`).join('\n');
    const after = Array.from({ length: 5_000 }, (_, index) => `b${index}`).join('\n');
    expect(patched(before, unifiedDiff(before, after, 'f'))).toBe(after);
  });
});
