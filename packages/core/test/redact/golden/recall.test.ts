import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../../src/redact/redact.ts';
import { REDACTION_KINDS } from '../../../src/redact/rules.ts';
import { PLACED } from './places.ts';
import { Random } from './random.ts';
import { ENCODED, surroundingsOf } from './surroundings.ts';
import { printTable } from './table.ts';
import { VENDORS } from './vendors.ts';

const SAMPLES = 400;
const LEAST_RECALL = 0.95;
/** What is found by a name or a configured value has no generator here; `text` is the last resort of the engine. */
const WITHOUT_GENERATOR = ['key-name', 'value', 'encoded', 'text'];

interface Sample {
  readonly kind: string;
  readonly surrounding: string;
  readonly text: string;
  readonly secret: string;
}

const redactor = createRedactor();
const GUIDE = readFileSync(new URL('../../../../../docs/guides/redaction.md', import.meta.url), 'utf8');
const kinds = [...new Set([...VENDORS, ...PLACED].map(({ kind }) => kind))];
const results = new Map(kinds.map((kind) => [kind, samplesOf(kind).map((sample) => ({ sample, ...judge(sample) }))]));

describe('recall of generated credentials', () => {
  it('has a generator for every kind, and a kind for every generator', () => {
    expect(kinds.toSorted()).toEqual(REDACTION_KINDS.filter((kind) => !WITHOUT_GENERATOR.includes(kind)).toSorted());
    expect(kinds.length).toBeGreaterThanOrEqual(40);
  });

  it.each(kinds)('%s', (kind) => {
    const judged = results.get(kind) ?? [];
    expect(judged.length).toBeGreaterThanOrEqual(SAMPLES);
    const missed = judged.filter(({ hidden, named }) => !hidden || !named).map(({ sample }) => `${sample.surrounding}: ${sample.text}`);
    expect(1 - missed.length / judged.length, missed.slice(0, 3).join('\n')).toBeGreaterThanOrEqual(LEAST_RECALL);
  });

  it('prints the rates, of which the guide tells the lowest', () => {
    const rows = [...results].map(([kind, judged]) => {
      const rate = (claim: 'hidden' | 'named'): string => (judged.filter((one) => one[claim]).length / judged.length).toFixed(3);
      return [kind, String(judged.length), rate('hidden'), rate('named')];
    });
    printTable('recall', ['kind', 'samples', 'hidden', 'by its kind'], rows);
    const lowest = Math.min(...rows.map(([, , hidden, named]) => Math.min(Number(hidden), Number(named))));
    const [, told = '1'] = /no kind is below ([\d.]+\d)/.exec(GUIDE) ?? [];
    expect(lowest, 'docs/guides/redaction.md').toBeGreaterThanOrEqual(Number(told));
  });
});

function samplesOf(kind: string): readonly Sample[] {
  const random = new Random(`recall of ${kind}`);
  const vendors = VENDORS.filter((vendor) => vendor.kind === kind);
  const shapes = vendors.flatMap((vendor) => vendor.make.map((make) => ({ vendor, make })));
  const placed = PLACED.filter((one) => one.kind === kind).flatMap(({ make }) => make);
  return Array.from({ length: SAMPLES }, (_, i): Sample => {
    const make = placed[i % placed.length];
    if (make !== undefined) return { kind, surrounding: `place ${i % placed.length}`, ...make(random) };
    const shape = shapes[i % shapes.length];
    if (shape === undefined) throw new Error(`no generator for ${kind}`);
    const secret = shape.make(random);
    // One in forty stands in an encoded address, where the credential itself is encoded.
    const encoded = shape.vendor.needs === undefined && random.below(40) === 0;
    const [surrounding, write] = encoded ? ENCODED : random.pick(surroundingsOf(shape.vendor, secret));
    const value = encoded ? encodeURIComponent(secret) : secret;
    const text = write({ name: random.pick(shape.vendor.names), vendor: kind.split('-')[0] ?? kind, value, random });
    return { kind, surrounding, text, secret: value };
  });
}

/**
 * Hidden: no quarter of the secret is seen any more. Named: and it is called what it is. What is known only by where it stands
 * may be called by the name in front of it as well: `{"Authorization":"Token ..."}` is a header and a member.
 */
function judge({ kind, text, secret }: Sample): { readonly hidden: boolean; readonly named: boolean } {
  const shown = redactor.redact({ text });
  const after = JSON.stringify(shown.shown);
  const size = Math.min(secret.length, Math.max(8, Math.ceil(secret.length / 4)));
  let hidden = true;
  for (let start = 0; start + size <= secret.length; start++) {
    // A part of an address or of a name may be ordinary text that also stands elsewhere.
    const part = secret.slice(start, start + size);
    if (after.includes(JSON.stringify(part).slice(1, -1)) && text.split(part).length === 2) hidden = false;
  }
  const called = PLACED.some((one) => one.kind === kind) ? [kind, 'key-name'] : [kind];
  return { hidden, named: shown.findings.some((finding) => called.includes(finding.kind)) };
}
