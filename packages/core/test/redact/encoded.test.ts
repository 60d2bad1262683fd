import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/redact/redact.ts';
import { anySecret, ORDINARY, secretsOf } from './corpora.ts';

const redactor = createRedactor();
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const hex = (text: string): string => Buffer.from(text).toString('hex');
const github = secretsOf('encoded').find(({ kind }) => kind === 'github-token')?.secret ?? '';

describe('encoded secrets', () => {
  it.each<[string, string]>([
    [`x ${base64(`config token ${github} end`)} y`, 'x [redacted:encoded] y'],
    [`x ${base64(base64(`config token ${github} end`))} y`, 'x [redacted:encoded] y'],
    [
      `data:text/plain;base64,${base64(JSON.stringify({ user: 'bob', password: 'hunter22' }))}`,
      'data:text/plain;base64,[redacted:encoded]',
    ],
    [`https://a.example/?next=https%3A%2F%2Fu%3Ahunter22%40h.example&b=1`, 'https://a.example/?next=[redacted:encoded]&b=1'],
    [`q=${github.replace('_', '%5F')}&a=1`, 'q=[redacted:encoded]&a=1'],
    [`"${github.replace('g', '\\u0067')}"`, '"[redacted:encoded]"'],
    [`"${github.replaceAll('g', '\\x67')}"`, '"[redacted:encoded]"'],
    [`x ${hex(github)} y`, 'x [redacted:encoded] y'],
    [`x 0x${hex(`token ${github}`).toUpperCase()} y`, 'x [redacted:encoded] y'],
    [`x ${base64(hex(github))} y`, 'x [redacted:encoded] y'],
  ])('%s', (text, expected) => {
    expect(redactor.text(text)).toBe(expected);
    expect(redactor.text(expected)).toBe(expected);
  });

  it('are found for every kind, in plain and in URL-safe base64 and in hex', () => {
    fc.assert(
      fc.property(anySecret, fc.constantFrom('base64', 'base64url', 'hex'), ({ text }, encoding) => {
        const encoded = Buffer.from(`some text: ${text} and more`).toString(encoding);
        expect(redactor.text(`before ${encoded} after`)).not.toContain(encoded.slice(0, -4));
      }),
      { numRuns: 500 },
    );
  });

  it('are told from text and data that hold none', () => {
    const long = 'The bearer of this letter may pass. '.repeat(5);
    for (const text of [
      ...ORDINARY,
      base64(long),
      base64(base64(long)),
      hex(long),
      hex(hex(long)),
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
      '6768706f6142336445356647376849396',
      encodeURIComponent(long),
      '100% sure, 5%20off',
      'C:\\u0041\\users',
    ])
      expect(redactor.text(text)).toBe(text);
    for (const text of ORDINARY.filter((each) => !each.includes('[redacted')))
      expect(redactor.text(`x ${base64(`${text} ${text}`)}`)).toContain(base64(text).slice(0, 8));
  });
});

describe('arguments of a command line in a list', () => {
  it('are known by the flag before them', () => {
    const args = ['run', '--password', 'hunter2', '--verbose', '--token', '--x', '--api-key', 'abc', '--region', 'eu'];
    const shown = [
      'run',
      '--password',
      '[redacted:key-name]',
      '--verbose',
      '--token',
      '--x',
      '--api-key',
      '[redacted:key-name]',
      '--region',
      'eu',
    ];
    expect(redactor.redact(args)).toEqual({
      shown,
      findings: [
        { kind: 'key-name', pointer: '/2' },
        { kind: 'key-name', pointer: '/7' },
      ],
    });
    expect(redactor.redact(shown)).toEqual({ shown, findings: [] });
  });
});
