import { describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { judgeSignatures, keyRules, MAX_TRUSTED_KEYS, parseTrustedKeys } from '../../src/ledger/key-rules.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { testWitness } from '../fixtures/witness.ts';

const NAME = 'example.com/log';
const [old, next, stranger] = [generateKey(NAME), generateKey(NAME), generateKey(NAME)];
const sign = (size: number, ...keys: (typeof old)[]): string =>
  signCheckpoint({ origin: NAME, size, root: 'ab'.repeat(32) }, ...keys.map((key) => signerFromPem(key.privatePem, NAME)));
const verdict = (note: string, size: number, keys: Parameters<typeof keyRules>[0]): string =>
  judgeSignatures(note, size, keyRules(keys)).signature;
const code = (action: () => unknown): string | undefined => {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'thrown';
  }
};

describe('the sizes a key counts for', () => {
  it.each([
    [4, 'out-of-range'],
    [5, 'trusted'],
    [9, 'trusted'],
    [10, 'out-of-range'],
  ])('from and until include both ends: %s', (size, expected) => {
    expect(verdict(sign(size, old), size, [{ vkey: old.vkey, from: 5, until: 9 }])).toBe(expected);
  });

  it.each([
    [6, 'trusted'],
    [7, 'revoked'],
    [8, 'revoked'],
  ])('revokedFrom excludes its own size: %s', (size, expected) => {
    expect(verdict(sign(size, old), size, [{ vkey: old.vkey, revokedFrom: 7 }])).toBe(expected);
  });

  it('revoked is told before out of range, and neither outweighs another key that counts', () => {
    expect(verdict(sign(8, old), 8, [{ vkey: old.vkey, until: 7, revokedFrom: 7 }])).toBe('revoked');
    const both = [{ vkey: old.vkey, revokedFrom: 7 }, next.vkey];
    expect(verdict(sign(8, old, next), 8, both)).toBe('trusted');
    expect(verdict(sign(8, old), 8, both)).toBe('revoked');
  });

  it('a revoked key from size 0 counts for nothing', () => {
    expect(verdict(sign(1, old), 1, [{ vkey: old.vkey, revokedFrom: 0 }])).toBe('revoked');
  });

  it('a line that names a known key and does not verify is wrong, whatever else is there', () => {
    const note = sign(8, old, next);
    const swapped = note.replace(/8\n/, '9\n');
    expect(verdict(swapped, 9, [old.vkey])).toBe('wrong');
    const lines = sign(8, next).split('\n').slice(0, -1);
    const forged = [...lines, sign(9, old).split('\n').at(-2), ''].join('\n');
    expect(verdict(forged, 8, [old.vkey, next.vkey])).toBe('wrong');
    expect(verdict(forged, 8, [next.vkey])).toBe('trusted');
  });

  it('a key that was not given is unknown', () => {
    expect(verdict(sign(8, stranger), 8, [old.vkey, next.vkey])).toBe('unknown');
    expect(verdict(sign(8, stranger), 8, [])).toBe('unknown');
  });
});

describe('witnesses', () => {
  const witness = testWitness('witness.example');
  const note = sign(8, old);

  it('are told with the time they state, and are no author', () => {
    const cosigned = note + witness.line(note, 1_767_225_600);
    expect(judgeSignatures(cosigned, 8, keyRules([witness.vkey]))).toEqual({
      signature: 'unknown',
      cosignatures: [{ vkey: witness.vkey, name: 'witness.example', size: 8, atSec: 1_767_225_600 }],
    });
    expect(judgeSignatures(cosigned, 8, keyRules([old.vkey, witness.vkey])).signature).toBe('trusted');
    expect(judgeSignatures(cosigned, 8, keyRules([old.vkey])).cosignatures).toEqual([]);
  });

  it('that did not sign this head make the note wrong', () => {
    const other = note + witness.line(sign(9, old), 1_767_225_600);
    expect(verdict(other, 8, [old.vkey, witness.vkey])).toBe('wrong');
    expect(verdict(other, 8, [old.vkey])).toBe('trusted');
  });

  it('do not count outside their range either', () => {
    const cosigned = note + witness.line(note, 1);
    expect(judgeSignatures(cosigned, 8, keyRules([{ vkey: witness.vkey, until: 7 }])).cosignatures).toEqual([]);
  });
});

describe('keyRules', () => {
  it.each<[string, unknown[], string]>([
    ['no line', ['x'], 'KEY_INVALID'],
    ['an object without a line', [{}], 'KEY_INVALID'],
    ['a negative size', [{ vkey: old.vkey, from: -1 }], 'OPTIONS_INVALID'],
    ['half an entry', [{ vkey: old.vkey, until: 1.5 }], 'OPTIONS_INVALID'],
    ['a size that is text', [{ vkey: old.vkey, revokedFrom: '7' }], 'OPTIONS_INVALID'],
    ['a size no log has', [{ vkey: old.vkey, until: 2 ** 53 }], 'OPTIONS_INVALID'],
    ['a range without a size', [{ vkey: old.vkey, from: 5, until: 4 }], 'OPTIONS_INVALID'],
    ['a limit that is misspelt', [{ vkey: old.vkey, revoked_from: 4 }], 'OPTIONS_INVALID'],
    ['one key with two ranges', [old.vkey, { vkey: old.vkey, until: 4 }], 'OPTIONS_INVALID'],
    ['too many', Array.from({ length: MAX_TRUSTED_KEYS + 1 }, () => old.vkey), 'OPTIONS_INVALID'],
  ])('refuses %s', (_name, given, expected) => {
    // What a caller without types may hand over.
    expect(code(() => keyRules(given as string[]))).toBe(expected);
  });

  it('takes one key twice when both say the same', () => {
    expect(keyRules([old.vkey, { vkey: old.vkey }])).toHaveLength(1);
  });
});

describe('parseTrustedKeys', () => {
  it('reads lines with their limits, and passes over comments and empty lines', () => {
    const text = `# the log\r\n\n${old.vkey} until=12  from=0\n  ${next.vkey}\trevoked-from=99 \n`;
    expect(parseTrustedKeys(text)).toEqual([
      { vkey: old.vkey, from: 0, until: 12 },
      { vkey: next.vkey, revokedFrom: 99 },
    ]);
    expect(parseTrustedKeys('# nothing\n')).toEqual([]);
  });

  it.each([
    ['KEY_INVALID', 'no-line'],
    ['KEY_INVALID', `from=1 ${old.vkey}`],
    ['KEY_INVALID', `${old.vkey.slice(0, -1)}`],
    ['OPTIONS_INVALID', `${old.vkey} ${next.vkey}`],
    ['OPTIONS_INVALID', `${old.vkey} until`],
    ['OPTIONS_INVALID', `${old.vkey} until=`],
    ['OPTIONS_INVALID', `${old.vkey} until=01`],
    ['OPTIONS_INVALID', `${old.vkey} until=-1`],
    ['OPTIONS_INVALID', `${old.vkey} until=1e3`],
    ['OPTIONS_INVALID', `${old.vkey} until=9007199254740992`],
    ['OPTIONS_INVALID', `${old.vkey} until=1 until=1`],
    ['OPTIONS_INVALID', `${old.vkey} constructor=1`],
    ['OPTIONS_INVALID', `${old.vkey} revokedFrom=1`],
    ['OPTIONS_INVALID', `${old.vkey} # not a comment`],
  ])('refuses with %s: %s', (expected, line) => {
    expect(code(() => parseTrustedKeys(`# first\n${line}\n`))).toBe(expected);
  });

  it('names the line', () => {
    expect(() => parseTrustedKeys(`${old.vkey}\nbad\n`)).toThrow(/line 2/);
  });
});
