import { describe, expect, it } from 'vitest';
import { analyzeArguments, analyzeShell } from '../../src/shell/index.ts';

function programsOf(text: string): readonly (readonly (string | undefined)[])[] {
  const programs: (readonly (string | undefined)[])[] = [];
  analyzeShell(text, (words) => programs.push(words));
  return programs;
}

describe('the programs of a command', () => {
  it('are told with their words, wrappers and nested shells included', () => {
    expect(programsOf('sudo env A=1 rm -rf /srv "a b"')).toEqual([
      ['sudo', 'env', 'A=1', 'rm', '-rf', '/srv', 'a b'],
      ['env', 'A=1', 'rm', '-rf', '/srv', 'a b'],
      ['rm', '-rf', '/srv', 'a b'],
    ]);
    expect(programsOf(`sh -c 'rm -r /srv; ls'`).map(([name]) => name)).toEqual(['sh', 'rm', 'ls']);
  });

  it('have no word where some of it is not known, and patterns as they are written', () => {
    expect(programsOf('rm -rf "$place"/x *.log')).toEqual([['rm', '-rf', undefined, '*.log']]);
  });

  it('are not told from words that only look like a command', () => {
    const programs: (readonly (string | undefined)[])[] = [];
    analyzeArguments(['some-tool', '--text', 'rm -rf /'], (words) => programs.push(words));
    expect(programs.map(([name]) => name)).toEqual(['some-tool']);
  });
});
