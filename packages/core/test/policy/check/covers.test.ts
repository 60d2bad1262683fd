import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { patternCovers } from '../../../src/policy/check/covers.ts';
import { compileToolPattern, type PatternReach } from '../../../src/policy/patterns.ts';

type Row = readonly [wider: string, reach: PatternReach, narrower: string, reach: PatternReach, covers: boolean];

const ROWS: readonly Row[] = [
  // the same pattern, by reach
  ['refund', 'wide', 'refund', 'narrow', true],
  ['refund', 'narrow', 'refund', 'narrow', true],
  ['refund', 'narrow', 'refund', 'wide', false],
  ['fs/read_*', 'wide', 'fs/read_*', 'narrow', true],
  ['fs/read_*', 'narrow', 'fs/read_*', 'wide', false],
  // names
  ['read_*', 'wide', 'fs/read_*', 'narrow', true],
  ['read_*', 'wide', 'fs/read_file', 'wide', false], // a tool without server may be called "fs/read_file"
  ['*', 'wide', 'fs/read_file', 'wide', true],
  ['*/*', 'wide', 'refund', 'wide', true],
  ['*/*', 'narrow', 'refund', 'narrow', false],
  ['*/read_*', 'narrow', 'fs/read_file', 'narrow', true],
  ['fs/*', 'narrow', 'fs/a/b', 'narrow', false],
  ['fs/*/*', 'narrow', 'fs/a/b', 'narrow', true],
  ['fs/*', 'wide', 'fs/a/b', 'narrow', true],
  ['fs/read_*_file', 'wide', 'fs/read_*', 'narrow', false],
  ['fs/*_*', 'wide', 'fs/read_*_file', 'narrow', true],
  ['a*a', 'wide', 'a', 'narrow', false],
  ['a*a', 'wide', 'a*', 'narrow', false],
  ['fs/read', 'wide', 'fs/reads', 'narrow', false],
  ['fs*/read', 'wide', 'fs2/read', 'narrow', true],
  ['fs2/read', 'wide', 'fs*/read', 'narrow', false],
];

describe('patternCovers', () => {
  it.each(ROWS)('%s (%s) covers %s (%s): %s', (wider, widerReach, narrower, narrowerReach, covers) => {
    expect(patternCovers({ source: wider, reach: widerReach }, { source: narrower, reach: narrowerReach })).toBe(covers);
  });

  it('never says yes for a pair of which only the narrower matches a tool', () => {
    const piece = fc.constantFrom('a', 'b', '*', 'ab');
    const part = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join('').replaceAll(/\*+/g, '*'));
    const pattern = fc.oneof(
      part,
      fc.tuple(part, part).map((parts) => parts.join('/')),
      fc.tuple(part, part, part).map((parts) => parts.join('/')),
    );
    const reach = fc.constantFrom<PatternReach>('narrow', 'wide');
    const text = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 6 }).map((letters) => letters.join(''));
    const tool = fc.record({ server: fc.option(text, { nil: undefined }), name: text });
    let covering = 0;
    fc.assert(
      fc.property(
        pattern,
        reach,
        pattern,
        reach,
        fc.array(tool, { minLength: 30, maxLength: 30 }),
        (wider, widerReach, narrower, narrowerReach, tools) => {
          if (!patternCovers({ source: wider, reach: widerReach }, { source: narrower, reach: narrowerReach })) return;
          covering++;
          const [wide, narrow] = [compileToolPattern(wider, widerReach, 'w'), compileToolPattern(narrower, narrowerReach, 'n')];
          for (const { server, name } of tools) {
            const one = server === undefined ? { name } : { server, name };
            if (narrow.matches(one)) expect(wide.matches(one), `${wider} ${narrower} ${JSON.stringify(one)}`).toBe(true);
          }
        },
      ),
      { numRuns: 6000 },
    );
    expect(covering).toBeGreaterThan(100);
  });
});
