import { describe, expect, it } from 'vitest';
import { leafHash, MAX_PROOF_HASHES } from '../../src/ledger/merkle.ts';
import { formatTlogProof, parseTlogProof, type TlogProof } from '../../src/ledger/tlog-proof.ts';
import { hasVectors, vectorJson } from '../vectors.ts';

const refused = expect.objectContaining({ code: 'PROOF_INVALID' });
const HASH = leafHash('a');
const PROOF: TlogProof = {
  index: 10,
  hashes: [HASH, leafHash('b')],
  checkpoint: 'example.com/log\n11\nroot\n\n— sig\n',
  extra: Buffer.from('more'),
};
const TEXT = formatTlogProof(PROOF);

describe('tlog proofs', () => {
  it('survive a round trip, with and without extra data and hashes', () => {
    for (const proof of [PROOF, { ...PROOF, extra: Buffer.alloc(0) }, { index: 0, hashes: [], checkpoint: 'a\n' }]) {
      expect(parseTlogProof(formatTlogProof(proof))).toEqual(proof);
    }
  });

  it('keep the checkpoint word for word, although it has empty lines of its own', () => {
    expect(parseTlogProof(TEXT).checkpoint).toBe(PROOF.checkpoint);
  });

  it.each([
    ['nothing', ''],
    ['another header', TEXT.replace('@v1', '@v2')],
    ['a space after the header', TEXT.replace('@v1', '@v1 ')],
    ['no index', TEXT.replace('index 10\n', '')],
    ['index before extra', TEXT.replace(/(extra .*\n)(index .*\n)/, '$2$1')],
    ['extra twice', TEXT.replace(/(extra .*\n)/, '$1$1')],
    ['a leading zero', TEXT.replace('index 10', 'index 010')],
    ['2^53', TEXT.replace('index 10', 'index 9007199254740992')],
    ['an exponent', TEXT.replace('index 10', 'index 1e1')],
    ['two spaces', TEXT.replace('index 10', 'index  10')],
    ['extra without padding', TEXT.replace(/==\n/, '\n')],
    ['a hash in hex', TEXT.replace(/index 10\n.*\n/, `index 10\n${HASH}\n`)],
    ['no empty line', TEXT.replaceAll('\n\n', '\n')],
    ['no last newline', TEXT.slice(0, -1)],
    ['no checkpoint', 'c2sp.org/tlog-proof@v1\nindex 0\n\n'],
    ['carriage returns', TEXT.replaceAll('\n', '\r\n')],
    ['a lone surrogate', `${TEXT}\ud800\n`],
    ['too many hashes', TEXT.replace('\n\n', `\n${Buffer.from(HASH, 'hex').toString('base64')}`.repeat(MAX_PROOF_HASHES) + '\n\n')],
    ['too long a checkpoint', `${TEXT}${'a'.repeat(1_000_000)}\n`],
    ['too long a text', TEXT.replace('extra ', `extra ${'AAAA'.repeat(700_000)}`)],
    ['too much extra data', TEXT.replace('extra ', `extra ${'AAAA'.repeat(350_000)}`)],
  ])('are refused: %s', (_name, text) => {
    expect(() => parseTlogProof(text)).toThrow(refused);
  });

  it.each<Partial<TlogProof>>([
    { index: -1 },
    { index: 0.5 },
    { hashes: ['x'] },
    { hashes: [HASH.toUpperCase()] },
    { checkpoint: '' },
    { checkpoint: 'a' },
  ])('are not written: %j', (change) => {
    expect(() => formatTlogProof({ ...PROOF, ...change })).toThrow(refused);
  });
});

interface ProofVectors {
  readonly valid: readonly { index: number; hashes: string[]; extra?: string; checkpoint: string; text: string }[];
  readonly invalid: readonly string[];
}

describe.skipIf(!hasVectors('c2sp'))('vectors of transparency-dev/formats', () => {
  it('are written and read byte for byte, or refused', () => {
    const vectors = vectorJson<ProofVectors>('c2sp/tlog-proof-cases.json');
    expect([vectors.valid.length, vectors.invalid.length]).toEqual([3, 7]);
    for (const { index, hashes, extra, checkpoint, text } of vectors.valid) {
      const proof = {
        index,
        hashes: hashes.map((hash) => Buffer.from(hash, 'base64').toString('hex')),
        checkpoint,
        ...(extra === undefined ? {} : { extra: Buffer.from(extra, 'base64') }),
      };
      expect(formatTlogProof(proof)).toBe(text);
      expect(parseTlogProof(text)).toEqual(proof);
    }
    for (const text of vectors.invalid) expect(() => parseTlogProof(text)).toThrow(refused);
  });
});
