import { expect, it } from 'vitest';
import { GrantHistories, type GrantPlaces } from '../../src/grant/history.ts';

const id = 'a'.repeat(32);
const at = (of: number): { readonly of: number; readonly leaf: string } => ({ of, leaf: '0'.repeat(64) });
const places: GrantPlaces = { id, approval: 'b'.repeat(32), ask: at(0), answer: at(1), granted: at(2) };
const use = (grant = id): string => JSON.stringify({ kind: 'decision', effect: 'allow', grant: { id: grant, entry: at(2), use: 1 } });
const START = ['ask', 'answer', 'grant'];

function reading(texts: string[]): { readonly histories: GrantHistories; readonly read: number[] } {
  const read: number[] = [];
  const histories = new GrantHistories((of, wanted) => {
    read.push(texts.length - of - 1);
    return texts.slice(of + 1).filter(wanted);
  });
  return { histories, read };
}

it('each entry is read once, however often is asked, and what is appended here not at all', () => {
  const texts = [...START, use(), '{}', use('c'.repeat(32))];
  const { histories, read } = reading(texts);
  for (let round = 0; round < 3; round++) expect(histories.of(places, texts.length).uses).toBe(1);
  texts.push('{}', use());
  expect(histories.of(places, texts.length).uses).toBe(2);
  texts.push(use());
  histories.appended(texts.length - 1, JSON.parse(use()));
  expect(histories.of(places, texts.length).uses).toBe(3);
  expect(read).toEqual([5, 2]);
});

it('what was rolled back counts no more, whatever takes its place', () => {
  const texts = [...START];
  const { histories } = reading(texts);
  expect(histories.of(places, texts.length).uses).toBe(0);
  texts.push(use(), use());
  expect(histories.of(places, texts.length).uses).toBe(2);
  texts.splice(3);
  expect(histories.of(places, texts.length).uses).toBe(0);
  texts.push(use());
  expect(histories.of(places, texts.length).uses).toBe(1);
  texts.splice(3, 1, '{}', use());
  histories.clear();
  expect(histories.of(places, texts.length).uses).toBe(1);
});

it.each([
  ['a revocation', { kind: 'grant', event: 'revoked', grant: id }, { isRevoked: true }],
  ['of another grant', { kind: 'grant', event: 'revoked', grant: 'c'.repeat(32) }, {}],
  ['a deny of its approval', { kind: 'approval', answer: 'deny', approval: places.approval }, { isRevoked: true }],
  ['a deny of another', { kind: 'approval', answer: 'deny', approval: id }, {}],
  ['forgotten', { kind: 'forget', entries: [at(2)] }, { isForgotten: true }],
  ['another forgotten', { kind: 'forget', entries: [at(1)] }, {}],
  ['the ask unsigned', { kind: 'recovery', event: 'unsigned-tail', from: 0, to: 1 }, { isDoubtful: true }],
  ['the answer unsigned', { kind: 'recovery', event: 'unsigned-tail', from: 1, to: 2 }, { isDoubtful: true }],
  ['the grant unsigned', { kind: 'recovery', event: 'unsigned-tail', from: 2, to: 3 }, { isDoubtful: true }],
  ['what follows unsigned', { kind: 'recovery', event: 'unsigned-tail', from: 3, to: 9 }, {}],
  ['a refused use', { kind: 'decision', effect: 'deny', grant: { id, entry: at(2), use: 1 } }, {}],
  ['a note', { kind: 'note', data: { grant: { id }, kind: 'grant', event: 'revoked' } }, {}],
])('%s', (_what, entry, more) => {
  const { histories } = reading([...START, JSON.stringify(entry)]);
  expect(histories.of(places, 4)).toEqual({ uses: 0, isRevoked: false, isForgotten: false, isDoubtful: false, ...more });
});
