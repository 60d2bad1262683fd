import { describe, expect, it } from 'vitest';
import { analyzeShell, mayBe } from '../../src/shell/index.ts';
import { disguise, numbers } from './disguise.ts';

const COUNT = 3000;

describe('disguises put together at random', () => {
  it('none slips: destructive is found, or cannot be excluded', () => {
    const choose = numbers(20_260_101);
    const slipped: string[] = [];
    let found = 0;
    const seen = new Set<string>();
    for (let i = 0; i < COUNT; i++) {
      const script = disguise(choose);
      seen.add(script);
      const analysis = analyzeShell(script);
      if (!mayBe(analysis, 'destructive')) slipped.push(script);
      if (analysis.found.includes('destructive')) found++;
    }
    console.log(`shell, made-up disguises: ${seen.size} different ones, ${slipped.length} slipped, ${found} of ${COUNT} recognised`);
    expect(slipped).toEqual([]);
    expect(seen.size).toBeGreaterThan(COUNT / 2);
    expect(found / COUNT).toBeGreaterThan(0.6);
  });
});
