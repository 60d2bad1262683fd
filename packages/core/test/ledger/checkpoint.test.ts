import { createPrivateKey, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatCheckpoint, parseCheckpoint, signCheckpoint, type TreeHead, verifyCheckpoint } from '../../src/ledger/checkpoint.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import {
  CompactRange,
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from '../../src/ledger/merkle.ts';
import { formatVerifierKey, parseVerifierKey, signNote, TYPE_COSIGNATURE } from '../../src/ledger/note.ts';
import { hasVectors, vectorJson, vectorText } from '../vectors.ts';

const refused = expect.objectContaining({ code: 'CHECKPOINT_INVALID' });
const TEXT = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const HEAD: TreeHead = {
  origin: 'example.com/behind-the-sofa',
  size: 20852163,
  root: '0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62',
};
const PEM = generateKey('example.com/behind-the-sofa').privatePem;
const SIGNER = signerFromPem(PEM, 'example.com/behind-the-sofa');

describe('formatCheckpoint and parseCheckpoint', () => {
  it('gives the bytes of the file header, both ways', () => {
    expect(formatCheckpoint(HEAD)).toBe(TEXT);
    expect(parseCheckpoint(TEXT)).toEqual({ ...HEAD, extensions: [] });
  });

  it.each([0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER])('keeps size %d', (size) => {
    const head = { ...HEAD, size, root: size === 0 ? EMPTY_ROOT : HEAD.root };
    expect(parseCheckpoint(formatCheckpoint(head))).toEqual({ ...head, extensions: [] });
  });

  it('hands over extension lines', () => {
    expect(parseCheckpoint(`${TEXT}one\ntwo 2\n`).extensions).toEqual(['one', 'two 2']);
  });

  it.each([
    ['nothing', ''],
    ['a newline', '\n'],
    ['no last newline', TEXT.slice(0, -1)],
    ['two lines', 'a\n1\n'],
    ['an empty origin', TEXT.replace(/^.*\n/, '\n')],
    ['an origin that is too long', `${'a'.repeat(256)}${TEXT}`],
    ['a control in the origin', `\t${TEXT}`],
    ['a lone surrogate in the origin', `\ud800${TEXT}`],
    ['a leading zero', TEXT.replace('2085', '02085')],
    ['double zero', `o\n00\n${Buffer.from(EMPTY_ROOT, 'hex').toString('base64')}\n`],
    ['a sign', TEXT.replace('2085', '+2085')],
    ['a negative size', TEXT.replace('2085', '-2085')],
    ['hex', TEXT.replace('20852163', '0x10')],
    ['an exponent', TEXT.replace('20852163', '1e3')],
    ['a space', TEXT.replace('20852163', '20852163 ')],
    ['an empty size', TEXT.replace('20852163', '')],
    ['digits of another script', TEXT.replace('20852163', '٣')],
    ['2^53', TEXT.replace('20852163', '9007199254740992')],
    ['a size of many digits', TEXT.replace('20852163', '9'.repeat(1000))],
    ['a root without padding', TEXT.replace('=', '')],
    ['a root with bits to spare', TEXT.replace('2I=', '2J=')],
    ['a root of 31 bytes', `o\n1\n${Buffer.alloc(31).toString('base64')}\n`],
    ['a root of 33 bytes', `o\n1\n${Buffer.alloc(33).toString('base64')}\n`],
    ['a root in hex', `o\n1\n${EMPTY_ROOT}\n`],
    ['size 0 with a root', TEXT.replace('20852163', '0')],
    ['an empty extension line', `${TEXT}\n`],
    ['an empty line between', `${TEXT}\none\n`],
    ['a control in an extension', `${TEXT}a\u0007\n`],
    ['carriage returns', TEXT.replaceAll('\n', '\r\n')],
    ['too long', `${TEXT}${'a'.repeat(70_000)}\n`],
  ])('refuses: %s', (_name, text) => {
    expect(() => parseCheckpoint(text)).toThrow(refused);
  });

  it.each<[string, Partial<TreeHead>]>([
    ['a newline in the origin', { origin: 'a\n1' }],
    ['lines smuggled in by the origin', { origin: `a\n1\n${Buffer.alloc(32).toString('base64')}\nb` }],
    ['an empty origin', { origin: '' }],
    ['a fraction', { size: 1.5 }],
    ['NaN', { size: Number.NaN }],
    ['a negative size', { size: -1 }],
    ['minus zero with a root', { size: -0 }],
    ['too large a size', { size: 2 ** 53 }],
    ['a root of another case', { root: HEAD.root.toUpperCase() }],
    ['a short root', { root: HEAD.root.slice(2) }],
  ])('does not write: %s', (_name, change) => {
    expect(() => formatCheckpoint({ ...HEAD, ...change })).toThrow(refused);
  });
});

describe('signCheckpoint and verifyCheckpoint', () => {
  it('names the keys that signed', () => {
    const note = signCheckpoint(HEAD, SIGNER);
    expect(verifyCheckpoint(note, [SIGNER.vkey])).toEqual({
      checkpoint: { ...HEAD, extensions: [] },
      signedBy: [SIGNER.vkey],
      cosignedBy: [],
    });
  });

  it('is signed by both keys of a rotation, under one name', () => {
    const next = signerFromPem(generateKey(HEAD.origin).privatePem, HEAD.origin);
    const note = signCheckpoint(HEAD, SIGNER, next);
    expect(verifyCheckpoint(note, [next.vkey]).signedBy).toEqual([next.vkey]);
    expect(verifyCheckpoint(note, [next.vkey, SIGNER.vkey]).signedBy.toSorted()).toEqual([SIGNER.vkey, next.vkey].toSorted());
  });

  it('refuses no key, another key, a changed text and what is no checkpoint', () => {
    const note = signCheckpoint(HEAD, SIGNER);
    expect(() => verifyCheckpoint(note, [])).toThrow(refused);
    expect(() => verifyCheckpoint(note, [generateKey(HEAD.origin).vkey])).toThrow(refused);
    expect(() => verifyCheckpoint(note.replace('2085', '2084'), [SIGNER.vkey])).toThrow(refused);
    expect(() => verifyCheckpoint(formatCheckpoint(HEAD), [SIGNER.vkey])).toThrow(refused);
    expect(() => verifyCheckpoint(signNote('hello\n', [SIGNER]), [SIGNER.vkey])).toThrow(refused);
    expect(() => verifyCheckpoint(note, ['nonsense'])).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
    expect(() => signCheckpoint(HEAD)).toThrow(expect.objectContaining({ code: 'NOTE_INVALID' }));
  });

  it('reports a witness, but does not take its word for the log', () => {
    const { publicKey } = parseVerifierKey(SIGNER.vkey);
    const witness = formatVerifierKey({ name: 'w.example', type: TYPE_COSIGNATURE, publicKey });
    const body = Buffer.from(`cosignature/v1\ntime 1679315147\n${TEXT}`);
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(1679315147n);
    const line = Buffer.concat([Buffer.from(parseVerifierKey(witness).keyId, 'hex'), time, sign(null, body, createPrivateKey(PEM))]);
    const note = `${signCheckpoint(HEAD, SIGNER)}— w.example ${line.toString('base64')}\n`;
    expect(verifyCheckpoint(note, [SIGNER.vkey, witness])).toMatchObject({
      signedBy: [SIGNER.vkey],
      cosignedBy: [{ vkey: witness, atSec: 1679315147 }],
    });
    expect(verifyCheckpoint(note, [SIGNER.vkey]).cosignedBy).toEqual([]);
    expect(() => verifyCheckpoint(note, [witness])).toThrow(refused);
  });
});

describe.skipIf(!hasVectors('tlog-tiles-log'))('a log made by transparency-dev/tessera', () => {
  it('has our roots and signatures, and every pair of its 16 sizes is consistent', () => {
    const vkey = vectorText('tlog-tiles-log/log.vkey').trim();
    const leaves = vectorJson<string[]>('tlog-tiles-log/leaves.json').map(leafHash);
    expect(leaves).toHaveLength(15);
    const read = (level: number, index: number): string => {
      const range = new CompactRange();
      for (const leaf of leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)) range.push(leaf);
      expect(range.size).toBe(2 ** level);
      return range.root();
    };
    const heads = Array.from({ length: 16 }, (_, size) => {
      const note = vectorText(`tlog-tiles-log/checkpoint.${size}`);
      const { checkpoint, signedBy } = verifyCheckpoint(note, [vkey]);
      expect(signedBy).toEqual([vkey]);
      expect(checkpoint).toEqual({ origin: 'example.com/log/testdata', size, root: rootOf(size, read), extensions: [] });
      expect(note.startsWith(`${formatCheckpoint(checkpoint)}\n`)).toBe(true);
      expect(() => verifyCheckpoint(note.replace('testdata', 'testdatb'), [vkey])).toThrow(refused);
      return checkpoint;
    });
    for (const older of heads) {
      for (const newer of heads.slice(older.size)) {
        const proof = consistencyProof(older.size, newer.size, read);
        expect(verifyConsistency({ size1: older.size, size2: newer.size, root1: older.root, root2: newer.root, proof })).toBe(true);
      }
      for (let index = 0; index < older.size; index++) {
        const claim = {
          index,
          size: older.size,
          leaf: leaves[index] as string,
          root: older.root,
          proof: inclusionProof(index, older.size, read),
        };
        expect(verifyInclusion(claim)).toBe(true);
      }
    }
  });
});
