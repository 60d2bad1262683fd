/**
 * Redacting: what it costs where nothing is found, against what a careful user would otherwise run, which is one scan by a
 * regular expression engine that cannot be made to hang.
 *
 * Two such engines run inside Node: RE2 as ported to JavaScript (`re2js`), and V8's own behind a flag (`/x/l`). Each gets the
 * shapes of the best known secrets in one alternation, far fewer than the redactor looks for, and no key names, checksums or
 * contexts; for each text the faster of the two is the baseline. V8's ordinary engine, which is compiled to machine code and
 * backtracks, is no answer to hostile text, but it is the fastest scan there is: its figure stands beside the other, without a bound.
 */
import { setFlagsFromString } from 'node:v8';
import { createRedactor } from '@countersign/core';
import { RE2JS } from 're2js';
import { atMost, type Claim, type Measured, printed } from './figure.ts';
import { median, timeRatio } from './measure.ts';
import { cleanTexts, dirtyText, HOSTILE_PIECES, MEGABYTE } from './redact-texts.ts';

const linear = 'redacting 1 MB of clean text / one scan by the fastest linear-time regular expression engine, worst of 7 kinds of text';
const compiled = "redacting 1 MB of clean text / one scan by V8's backtracking engine, worst of 7 kinds of text";
const dirty = 'redacting 1 MB with 6,000 secrets / 1 MB of clean prose';
const growth = 'redacting 4 MB of hostile text / 1 MB of it, worst of all pieces';

export const redactClaims: readonly Claim[] = [
  { name: linear, measure: () => worst(linear, 3, (text) => timeRatio(redacting(text), fastestLinear(text), SLOW)) },
  { name: compiled, measure: () => worst(compiled, null, (text) => timeRatio(redacting(text), scanning(text, SHAPES, 'g'), QUICK)) },
  { name: dirty, measure: async () => atMost(dirty, await dirtyOverClean(), 40) },
  { name: growth, measure: async () => atMost(growth, hostileGrowth(), 8) },
];

/** The same shapes for every engine. Open quantifiers: V8's linear engine refuses counted ones. */
const SHAPES =
  '-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.|sk-[A-Za-z0-9_-]+|gh[pousr]_[A-Za-z0-9]+|github_pat_[A-Za-z0-9_]+' +
  '|glpat-[A-Za-z0-9_-]+|xox[abprse][.-][A-Za-z0-9-]+|[rs]k_(?:live|test)_[A-Za-z0-9]+|whsec_[A-Za-z0-9]+|AIza[A-Za-z0-9_-]+' +
  '|ya29\\.[A-Za-z0-9_-]+|npm_[A-Za-z0-9]+|hf_[A-Za-z0-9]+|A[KS]IA[A-Z0-9]+|SG\\.[A-Za-z0-9_-]+\\.|://[^\\s/?#:@]*:[^\\s/?#@]+@' +
  '|[?&](?:token|password|api_key|secret|access_token)=[^\\s&]+|[Aa]uthorization: |[Bb]earer [A-Za-z0-9._-]+|[Cc]ookie: ' +
  '|hooks\\.slack\\.com/services/|discord(?:app)?\\.com/api/webhooks/|(?:AccountKey|SharedAccessKey)=';

/** The baselines take a second; the median of few rounds must do. */
const SLOW = { count: 1, slices: 1, rounds: 5, warmUpRounds: 1 } as const;
const QUICK = { count: 1, slices: 5, rounds: 9, warmUpRounds: 3 } as const;

const redactor = createRedactor();

function redacting(text: string): (count: number) => void {
  return (count) => {
    for (let i = 0; i < count; i++) void redactor.text(text);
  };
}

async function worst(name: string, bound: number | null, ratio: (text: string) => Promise<number>): Promise<Measured> {
  const ratios: number[] = [];
  for (const [kind, text] of cleanTexts()) {
    if (redactor.text(text) !== text) throw new Error(`something in the clean text (${kind}) was redacted: it is not clean`);
    const value = await ratio(text);
    if (process.env['BENCH_DETAILS'] !== undefined) process.stderr.write(`  ${kind}: ${value.toFixed(3)}\n`);
    ratios.push(value);
  }
  return bound === null ? printed(name, Math.max(...ratios)) : atMost(name, Math.max(...ratios), bound);
}

type Scan = (count: number) => void;

function fastestLinear(text: string): Scan {
  setFlagsFromString('--enable-experimental-regexp-engine');
  const v8 = scanning(text, SHAPES, 'gl');
  const re2 = re2Scanning(text);
  return processorMs(() => v8(1)) < processorMs(() => re2(1)) ? v8 : re2;
}

function scanning(text: string, source: string, flags: string): Scan {
  const pattern = new RegExp(source, flags);
  return (count) => {
    for (let i = 0; i < count; i++) {
      pattern.lastIndex = 0;
      while (pattern.test(text)) if (pattern.lastIndex >= text.length) break;
    }
  };
}

function re2Scanning(text: string): Scan {
  const pattern = RE2JS.compile(SHAPES);
  return (count) => {
    for (let i = 0; i < count; i++) {
      const matcher = pattern.matcher(text);
      while (matcher.find());
    }
  };
}

function dirtyOverClean(): Promise<number> {
  const text = dirtyText();
  if ((redactor.text(text).match(/\[redacted:/g)?.length ?? 0) < 6000) throw new Error('the dirty text is not dirty');
  return timeRatio(redacting(text), redacting(cleanTexts().get('prose') ?? ''), QUICK);
}

/** Processor time, not time on the clock: a single run of each must do. */
function hostileGrowth(): number {
  const ratios = HOSTILE_PIECES.map((piece) => {
    const small = piece.repeat(MEGABYTE / piece.length);
    const large = piece.repeat((4 * MEGABYTE) / piece.length);
    const once = median([0, 1, 2].map(() => processorMs(() => redactor.text(small))));
    return processorMs(() => redactor.text(large)) / Math.max(once, 1);
  });
  return Math.max(...ratios);
}

function processorMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  return process.cpuUsage(before).user / 1000;
}
