/** Secrets sent in pieces: neighbours in a list that only together are one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Detector } from '../../src/redact/detector.ts';
import { createRedactor } from '../../src/redact/redact.ts';
import { DETECTORS } from '../../src/redact/rules.ts';
import { textRules } from '../../src/redact/scan.ts';
import { hideSplit } from '../../src/redact/split.ts';
import { anySecret, characters, ORDINARY, secretsOf } from './corpora.ts';

const redactor = createRedactor({ values: ['correct horse'] });
const ALL = secretsOf('split');
const github = secret('github-token');
const openai = secret('openai-key');
const pem = ALL.find(({ text }) => text.startsWith('-----BEGIN') && text.endsWith('-----\n'))?.text ?? '';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

function secret(kind: string): string {
  return ALL.find((each) => each.kind === kind)?.text ?? '';
}

/** Kinds known by their own form, which starts where their trigger does. */
const FORMED = ALL.filter(
  ({ kind, text, secret: whole }) =>
    text === whole && DETECTORS.some((each) => each.kind === kind && each.triggers.some((trigger) => text.startsWith(trigger))),
);

describe('a secret in pieces', () => {
  it.each<[string, readonly unknown[], readonly unknown[]]>([
    ['two', [github.slice(0, 20), github.slice(20)], ['[redacted:github-token]', '[redacted:github-token]']],
    ['inside of its prefix', ['x', github.slice(0, 2), github.slice(2)], ['x', '[redacted:github-token]', '[redacted:github-token]']],
    [
      'with text before and behind',
      [`say ${github.slice(0, 9)}`, `${github.slice(9)} end`],
      ['say [redacted:github-token]', '[redacted:github-token] end'],
    ],
    [
      'one too short to be known, one left over',
      [openai.slice(0, 60), openai.slice(60)],
      ['[redacted:openai-key]', '[redacted:openai-key]'],
    ],
    ['with empty ones between', [github.slice(0, 9), '', github.slice(9)], ['[redacted:github-token]', '', '[redacted:github-token]']],
    [
      'twice',
      [github.slice(0, 9), `${github.slice(9)} ${github.slice(0, 8)}`, github.slice(8)],
      ['[redacted:github-token]', '[redacted:github-token] [redacted:github-token]', '[redacted:github-token]'],
    ],
    ['of a configured value', ['a corr', 'ect hor', 'se b'], ['a [redacted:value]', '[redacted:value]', '[redacted:value] b']],
    [
      'between other things',
      [1, github.slice(0, 20), github.slice(20), null],
      [1, '[redacted:github-token]', '[redacted:github-token]', null],
    ],
  ])('%s', (_what, items, shown) => {
    expect(redactor.redact(items).shown).toEqual(shown);
    expect(redactor.redact(shown)).toEqual({ shown, findings: [] });
  });

  it('letter by letter, and in pieces of every size', () => {
    for (const { text, kind } of FORMED) {
      for (const size of [1, 2, 3, 5, 8, 13, 20, 31]) {
        const pieces = piecesOf(text, size);
        const { shown, findings } = redactor.redact({ argv: ['run', ...pieces] });
        expect(JSON.stringify(shown), `${kind} by ${size}`).toBe(
          JSON.stringify({ argv: ['run', ...pieces.map((_, i) => (shown as { argv: string[] }).argv[i + 1])] }),
        );
        const left = (shown as { argv: string[] }).argv
          .slice(1)
          .join('')
          .replaceAll(/\[redacted:[a-z0-9-]+\]/g, '');
        expect(left.length, `${kind} by ${size}: ${left}`).toBeLessThan(8);
        expect(findings.length).toBeGreaterThan(0);
        expect(redactor.redact(shown)).toEqual({ shown, findings: [] });
      }
    }
  });

  it('a key line by line, to its last line and no further', () => {
    const lines = ['key:', ...pem.trimEnd().split('\n'), 'next', 'user bob'];
    const shown = lines.map((line, i) => (i > 0 && i < lines.length - 2 ? '[redacted:private-key]' : line));
    expect(redactor.redact(lines).shown).toEqual(shown);
    const cut = [...pem.trimEnd().split('\n').slice(0, -1), 'the next line, of somebody else', 'more'];
    expect(redactor.redact(cut).shown).toEqual(cut.map((line, i) => (i < cut.length - 2 ? '[redacted:private-key]' : line)));
  });

  it('at either end of items far longer than a token', () => {
    const long = 'lorem ipsum '.repeat(5000);
    const { shown, findings } = redactor.redact([`${long}${github.slice(0, 11)}`, github.slice(11, 20), `${github.slice(20)} ${long}`]);
    expect(shown).toEqual([`${long}[redacted:github-token]`, '[redacted:github-token]', `[redacted:github-token] ${long}`]);
    expect(findings.map(({ pointer }) => pointer)).toEqual(expect.arrayContaining(['/0', '/1', '/2']));
  });

  it('is settled after one look, whatever the pieces are', () => {
    const piece = fc.oneof(
      anySecret.chain(({ text }) => fc.nat(text.length).map((at) => text.slice(0, at))),
      anySecret.chain(({ text }) => fc.nat(text.length).map((at) => text.slice(at))),
      fc.string({ maxLength: 8 }),
      fc.constantFrom('--token', 'sk-', '[redacted:jwt]', '[redacted:', 'ghp_', '"password":"'),
      fc.integer(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (items) => {
        const { shown } = redactor.redact(items);
        expect(redactor.redact(shown)).toEqual({ shown, findings: [] });
      }),
      { numRuns: 3000 },
    );
  });
});

describe('what is no secret in pieces', () => {
  const hashes = Array.from({ length: 400 }, (_, i) => characters('0123456789abcdef', 64, `hash ${i}`));
  const uuids = hashes.map((hash) => hash.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5'));
  const words =
    'the bearer of this letter may pass basic tokens sk task disk AKIA eyJ and a secret key of npm hf glpat or password is here'.split(' ');

  it.each<[string, readonly unknown[]]>([
    ['nothing', []],
    ['one item', ['ghp_']],
    ['words', words],
    ['letters', [...'the token ghp is a secret of sk']],
    ['hashes', hashes],
    ['identifiers', uuids],
    ['hashes behind a short word', hashes.flatMap((hash) => ['sha', hash])],
    ['base64 in lines', Array.from({ length: 2000 }, (_, i) => characters(`${LETTERS}+/`, 76, `line ${i}`))],
    ['numbers as text', hashes.map((hash) => String(Number.parseInt(hash.slice(0, 12), 16)))],
    ['groups of digits behind a word', ['card', '4111', '1111', '1111', '1111']],
    [
      'prefixes of tokens',
      [
        'ghp_',
        'gho_',
        'ghu_',
        'ghs_',
        'ghr_',
        'github_pat_',
        'sk-',
        'sk-ant-',
        'sk-proj-',
        'xoxb-',
        'glpat-',
        'npm_',
        'hf_',
        'AKIA',
        'SG.',
        'eyJ',
        '-----BEGIN PRIVATE KEY-----',
      ],
    ],
    ['lines of a file of settings', ['password:', '  type: string', 'token:', '  a1b2c3d4e5f6', 'api_key =', 'x']],
    ['headers as a flat list', ['Authorization', 'required', 'Cookie', 'none1234567890abcdef', 'Host', 'h1.example']],
    ['addresses', ['https://a.example:8443', 'bob@b.example', 'postgres://u:', 'x@y', '?token=', 'abcdefgh1234']],
    ['options of a command', ['docker', 'run', '-p', '80:80', '--name', 'x', 'curl', '-u', '-p', 'https://a.example']],
    ['cells of a table', ['id', 'name', 'sk-1', 'key-2', 'task-3', '2026-11-22', 'SK', '0123456789abcdef0123456789abcdef']],
    ['paths and flags', ['src/task-', 'runner.ts', '--disk-', 'usage-report-2026-with-a-long-name']],
    ['words around other values', [github.slice(0, 20), 1, github.slice(20)]],
    ['words in lists of their own', [[github.slice(0, 20)], [github.slice(20)]]],
    ['classes of a style sheet', ['.sk-', 'fading-circle', '.sk-', 'circle12', 'sk-', 'folding-cube-container-element']],
    ['source code', ['const', ' ', 'password', ' ', '=', ' ', 'process', '.', 'env', '.', 'PASSWORD1', ';', 'token', ':', '"x9"']],
    ['begins and ends of certificates', ['-----BEGIN CERTIFICATE-----', characters(LETTERS, 64, 'c'), '-----END CERTIFICATE-----']],
    ['a text about keys', ['-----BEGIN PRIVATE KEY-----', 'is how a private key starts', '-----END PRIVATE KEY-----']],
    ['an ordinary text each', ORDINARY],
    ['the lines of ordinary texts', ORDINARY.flatMap((text) => text.split('\n'))],
    ['the words of ordinary texts', ORDINARY.flatMap((text) => text.split(' '))],
    ['ordinary texts in pieces of twenty', ORDINARY.flatMap((text) => piecesOf(text, 20))],
    ['ordinary texts in pieces of three', ORDINARY.flatMap((text) => piecesOf(text, 3))],
  ])('%s', (_what, items) => {
    const single = items.map((item) => (typeof item === 'string' ? redactor.text(item) : item));
    expect(redactor.redact(items).shown).toEqual(single);
  });

  it('the neighbour of a whole secret that is no rest of it', () => {
    for (const next of ['prod', 'https', 'Content-Type:', 'end', ' 12345678901', 'abcdefghijkl', '/path/1']) {
      expect(redactor.redact([github, next, 'x']).shown).toEqual(['[redacted:github-token]', next, 'x']);
    }
  });
});

describe('the work of joining', () => {
  it.each(['ghp_', 'eyJ.', 'sk-', '-----BEGIN ', '-----BEGIN PRIVATE KEY-----', 'eyJhbGciOiJub25l.a.', 'a', github.slice(0, 20), github])(
    'grows with the list and no faster: %j',
    (piece) => {
      const [one, four] = [work(piece, 4000), work(piece, 16_000)];
      expect(four).toBeLessThanOrEqual(4.5 * one + 20_000);
    },
  );
});

/** Characters that detectors say they read, and their calls. */
function work(piece: string, count: number): number {
  let sum = 0;
  const counted: readonly Detector[] = DETECTORS.map((detector) => ({
    ...detector,
    look(text, at, trigger) {
      const sighting = detector.look(text, at, trigger);
      sum += 1 + (sighting === undefined ? 0 : sighting.end - at);
      return sighting;
    },
  }));
  hideSplit(
    Array.from({ length: count }, () => piece),
    textRules(counted),
    () => undefined,
  );
  return sum;
}

function piecesOf(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
}
