import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Signer } from '../../src/interfaces.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import {
  formatVerifierKey,
  keyIdOf,
  MAX_NOTE_BYTES,
  MAX_NOTE_SIGNATURES,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
  TYPE_COSIGNATURE,
  TYPE_ED25519,
} from '../../src/ledger/note.ts';
import { hasVectors, vectorJson, vectorText } from '../vectors.ts';

const refused = expect.objectContaining({ code: 'NOTE_INVALID' });
const badKey = expect.objectContaining({ code: 'KEY_INVALID' });

function newSigner(name: string): Signer {
  return signerFromPem(generateKey(name).privatePem, name);
}

/** A public test key of golang.org/x/mod: its note is the example of the file header. */
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const NOTE = `${TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
const LINE = NOTE.slice(TEXT.length + 1);

describe('verifier keys', () => {
  it('reads and writes the example of the file header', () => {
    const key = parseVerifierKey(PETER);
    expect(key).toMatchObject({ name: 'PeterNeumann', keyId: 'c74f20a3', type: TYPE_ED25519 });
    expect(key.publicKey).toHaveLength(32);
    expect(formatVerifierKey(key)).toBe(PETER);
    expect(keyIdOf(key.name, key.type, key.publicKey)).toBe('c74f20a3');
  });

  it('has another id for another name or type', () => {
    const { name, publicKey } = parseVerifierKey(PETER);
    expect(keyIdOf('PeterNeuman', TYPE_ED25519, publicKey)).not.toBe('c74f20a3');
    expect(keyIdOf(name, TYPE_COSIGNATURE, publicKey)).not.toBe('c74f20a3');
  });

  it('refuses every part and every changed character of a line', () => {
    for (let begin = 0; begin < PETER.length; begin++) {
      const lastEnd = begin === 0 ? PETER.length - 1 : PETER.length;
      for (let end = begin; end <= lastEnd; end++) expect(() => parseVerifierKey(PETER.slice(begin, end))).toThrow(badKey);
      for (const char of ['+', ' ', 'A', 'B', '\n', 'é', '='].filter((other) => other !== PETER[begin])) {
        expect(() => parseVerifierKey(PETER.slice(0, begin) + char + PETER.slice(begin + 1))).toThrow(badKey);
      }
    }
    for (const line of [`${PETER}\n`, ` ${PETER}`, PETER.replace('c74f20a3', 'C74F20A3'), `${PETER}=`, 'a'.repeat(10_000)]) {
      expect(() => parseVerifierKey(line)).toThrow(badKey);
    }
  });

  it.each(['', 'a b', 'a+b', 'a\nb', 'a\tb', 'a\u00a0b', 'a\u0085b', 'a\u2028b', 'a\u0000b', '\ud800', 'a'.repeat(256)])(
    'refuses the name %j',
    (name) => {
      const { publicKey } = parseVerifierKey(PETER);
      expect(() => formatVerifierKey({ name, type: TYPE_ED25519, publicKey })).toThrow(badKey);
    },
  );

  it('refuses another type or length of key, with a matching id', () => {
    const { name, publicKey } = parseVerifierKey(PETER);
    for (const type of [0, 2, 5, 6, 0xff]) expect(() => formatVerifierKey({ name, type, publicKey })).toThrow(badKey);
    for (const length of [0, 31, 33]) {
      expect(() => formatVerifierKey({ name, type: TYPE_ED25519, publicKey: new Uint8Array(length) })).toThrow(badKey);
    }
  });
});

describe('openNote', () => {
  it('opens the example of the file header', () => {
    const opened = openNote(NOTE, [PETER]);
    expect(opened.text).toBe(TEXT);
    expect(opened.verified).toHaveLength(1);
    expect(opened.verified[0]).toMatchObject({ name: 'PeterNeumann', keyId: 'c74f20a3', type: TYPE_ED25519 });
    expect(opened.unverified).toEqual([]);
    expect(openNote(Buffer.from(NOTE), [PETER]).text).toBe(TEXT);
  });

  it('refuses every truncation and every changed byte', () => {
    const bytes = Buffer.from(NOTE);
    for (let index = 0; index < bytes.length; index++) {
      expect(() => openNote(bytes.subarray(0, index), [PETER])).toThrow(refused);
      for (const flip of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] as number) ^ flip;
        expect(() => openNote(changed, [PETER])).toThrow(refused);
      }
    }
  });

  it.each<[string, string | Uint8Array]>([
    ['nothing', ''],
    ['newlines alone', '\n\n'],
    ['text alone', TEXT],
    ['text and an empty line', `${TEXT}\n`],
    ['no empty line', TEXT + LINE],
    ['an empty line at the end', `${NOTE}\n`],
    ['no last newline', NOTE.slice(0, -1)],
    ['carriage returns', NOTE.replaceAll('\n', '\r\n')],
    ['a tab', NOTE.replace(' ', '\t')],
    ['a NUL', NOTE.replace(' ', '\0')],
    ['an escape sequence', NOTE.replace('answer', '\u001b[31m')],
    ['a hyphen for the dash', NOTE.replace('—', '-')],
    ['two spaces', NOTE.replace(' x08', '  x08')],
    ['a space at the end of the line', NOTE.replace('=\n', '= \n')],
    ['no signature', NOTE.replace(/ x08.*=/, '')],
    ['an empty signature', NOTE.replace(/x08.*=/, '')],
    ['a signature without its bytes', NOTE.replace(/x08.*=/, 'x08gow==')],
    ['a signature cut short', NOTE.replace(/x08.*=/, 'x08go/ZJkuBS')],
    ['base64 without padding', NOTE.replace('AM=', 'AM')],
    ['base64 with bits to spare', NOTE.replace('AM=', 'AN=')],
    ['base64 of the URL kind', NOTE.replace('/', '_')],
    ['a plus in the name', NOTE.replace('PeterN', 'Peter+N')],
    ['a bad line after a good one', `${NOTE}— Bad\n`],
    ['text after the signatures', `${NOTE}and more\n`],
    ['invalid UTF-8', Buffer.concat([Buffer.of(0xff), Buffer.from(NOTE)])],
    ['overlong UTF-8', Buffer.concat([Buffer.of(0xc0, 0x8a), Buffer.from(NOTE)])],
    ['an encoded surrogate', Buffer.concat([Buffer.of(0xed, 0xa0, 0x80), Buffer.from(NOTE)])],
    ['a lone surrogate', `\ud800${NOTE}`],
    ['a byte order mark', `\ufeff${NOTE}`],
    ['a byte order mark in bytes', Buffer.from(`\ufeff${NOTE}`)],
    ['too many signatures', NOTE + LINE.repeat(MAX_NOTE_SIGNATURES)],
    ['too many bytes', 'é'.repeat(MAX_NOTE_BYTES / 2) + NOTE],
    ['too many characters', 'e'.repeat(MAX_NOTE_BYTES) + NOTE],
  ])('refuses: %s', (_name, note) => {
    expect(() => openNote(note, [PETER])).toThrow(refused);
  });

  it('does not decode what is not UTF-8 even without checking signatures', () => {
    const bytes = Buffer.from(NOTE);
    expect(parseNote(bytes).text).toBe(TEXT);
    bytes[0] = 0xff;
    expect(() => parseNote(bytes)).toThrow(refused);
    expect(() => parseNote(NOTE.replace('If', '\u009b'))).toThrow(refused);
  });

  it('refuses a note that no known key signed', () => {
    expect(() => openNote(NOTE, [])).toThrow(refused);
    expect(() => openNote(NOTE, [newSigner('PeterNeumann').vkey])).toThrow(refused);
    // Same key, other name: another identity.
    const { publicKey } = parseVerifierKey(PETER);
    expect(() => openNote(NOTE, [formatVerifierKey({ name: 'constructor', type: TYPE_ED25519, publicKey })])).toThrow(refused);
  });

  it('passes over unknown keys, with the same name or the same id, and reports them', () => {
    const other = newSigner('PeterNeumann');
    const note = signNote(TEXT, [other]) + LINE;
    const opened = openNote(note, [PETER]);
    expect(opened.verified.map(({ keyId }) => keyId)).toEqual(['c74f20a3']);
    expect(opened.unverified.map(({ name, keyId }) => `${name}+${keyId}`)).toEqual([other.vkey.split('+').slice(0, 2).join('+')]);
    const renamed = NOTE + LINE.replace('PeterNeumann', '__proto__');
    expect(openNote(renamed, [PETER]).unverified[0]?.name).toBe('__proto__');
  });

  it('refuses a wrong signature of a known key also beside a right one', () => {
    const forged = LINE.replace('ZJku', 'ZJkv');
    expect(() => openNote(NOTE + forged, [PETER])).toThrow(refused);
    const other = newSigner('other.example');
    const note = signNote(TEXT, [other]);
    expect(() => openNote(note + forged, [PETER, other.vkey])).toThrow(refused);
    expect(openNote(note + forged, [other.vkey]).unverified).toHaveLength(1);
  });

  it('names a key once, however often it signed', () => {
    expect(openNote(NOTE + LINE + LINE, [PETER, PETER]).verified).toHaveLength(1);
  });

  it('takes the last empty line as separator', () => {
    const signer = newSigner('a.example');
    const text = `${NOTE}\n\n— not a signature\n\n`;
    expect(openNote(signNote(text, [signer]), [signer.vkey]).text).toBe(text);
  });

  it('refuses two keys that share name and id, and a malformed key', () => {
    const known = parseVerifierKey(PETER);
    const clash = { ...known, publicKey: parseVerifierKey(newSigner('x').vkey).publicKey };
    expect(() => openNote(NOTE, [known, clash])).toThrow(refused);
    expect(() => openNote(NOTE, [PETER, 'nonsense'])).toThrow(badKey);
  });
});

describe('signNote', () => {
  it('writes what openNote reads, for any text', () => {
    const signers = [newSigner('a.example/log'), newSigner('b')];
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (line) => {
        const text = `${line}\n`;
        const note = signNote(text, signers);
        const opened = openNote(note, [signers[1]?.vkey as string, signers[0]?.vkey as string]);
        expect(opened.text).toBe(text);
        expect(opened.verified.map(({ name }) => name)).toEqual(['a.example/log', 'b']);
      }),
      { numRuns: 50 },
    );
  });

  it('signs as golang.org/x/mod does', () => {
    // The key of the vectors: type byte, then seed.
    const seed = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const signer = { vkey: PETER, sign: (message: Uint8Array) => sign(null, message, key) };
    expect(signNote(TEXT, [signer])).toBe(NOTE);
  });

  it.each(['', 'no newline', 'tab\t\n', '\u0000\n', '\ud800\n', `${'a'.repeat(MAX_NOTE_BYTES)}\n`])('refuses the text %j', (text) => {
    expect(() => signNote(text, [newSigner('a')])).toThrow(refused);
  });

  it('refuses no signer, too many, the same twice, a witness key and a signature of another length', () => {
    const signer = newSigner('a');
    const { publicKey } = parseVerifierKey(signer.vkey);
    const witness = { ...signer, vkey: formatVerifierKey({ name: 'a', type: TYPE_COSIGNATURE, publicKey }) };
    const short = { ...signer, sign: () => new Uint8Array(63) };
    for (const signers of [[], Array(101).fill(signer), [signer, signer], [witness], [short]]) {
      expect(() => signNote('a\n', signers as Signer[])).toThrow(refused);
    }
    expect(() => signNote('a\n', [{ ...signer, vkey: 'a' }])).toThrow(badKey);
  });
});

describe('cosignatures', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url');
  const vkey = formatVerifierKey({ name: 'witness.example', type: TYPE_COSIGNATURE, publicKey: raw });

  function cosign(timeSec: bigint, signedText: string): string {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(timeSec);
    const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${timeSec}\n${signedText}`), privateKey);
    const id = Buffer.from(parseVerifierKey(vkey).keyId, 'hex');
    return `— witness.example ${Buffer.concat([id, time, signature]).toString('base64')}\n`;
  }

  it('verifies a timestamped signature and tells its time', () => {
    const opened = openNote(`${TEXT}\n${cosign(1679315147n, TEXT)}`, [vkey]);
    expect(opened.verified[0]).toMatchObject({ name: 'witness.example', type: TYPE_COSIGNATURE, cosignedAtSec: 1679315147 });
  });

  it('refuses another text, another time, a plain signature and a time past 2^53', () => {
    const line = cosign(1679315147n, TEXT);
    const bytes = Buffer.from(line.split(' ')[2] as string, 'base64');
    bytes[11] = (bytes[11] as number) ^ 1;
    const plain = Buffer.concat([bytes.subarray(0, 4), sign(null, Buffer.from(TEXT), privateKey)]);
    for (const changed of [
      cosign(1679315147n, `${TEXT}more\n`),
      `— witness.example ${bytes.toString('base64')}\n`,
      `— witness.example ${plain.toString('base64')}\n`,
      cosign(2n ** 63n, TEXT),
    ]) {
      expect(() => openNote(`${TEXT}\n${changed}`, [vkey])).toThrow(refused);
    }
  });
});

interface NoteVectors {
  readonly signer_skey_test_only: string;
  readonly vkeys: { readonly [name: string]: string };
  readonly bad_vkeys: readonly string[];
  readonly valid: readonly { note: string; keys: string[]; verified: string[]; unverified?: string[] }[];
  readonly invalid: readonly { note: string; keys: string[] }[];
}

describe.skipIf(!hasVectors('signed-note'))('vectors of golang.org/x/mod', () => {
  it('agrees on keys and notes', () => {
    const vectors = vectorJson<NoteVectors>('signed-note/notes.json');
    const keysOf = (names: readonly string[]): string[] => names.map((name) => vectors.vkeys[name] as string);
    for (const vkey of Object.values(vectors.vkeys)) expect(formatVerifierKey(parseVerifierKey(vkey))).toBe(vkey);
    for (const vkey of vectors.bad_vkeys) expect(() => parseVerifierKey(vkey)).toThrow(badKey);
    expect([vectors.valid.length, vectors.invalid.length]).toEqual([3, 5]);
    for (const { note, keys, verified, unverified } of vectors.valid) {
      const opened = openNote(note, keysOf(keys));
      expect(opened.verified.map(({ name }) => name)).toEqual(verified);
      expect(opened.unverified.map(({ name }) => name)).toEqual(unverified ?? []);
    }
    for (const { note, keys } of vectors.invalid) expect(() => openNote(note, keysOf(keys))).toThrow(refused);
  });
});

describe.skipIf(!hasVectors('c2sp'))('example of c2sp.org/tlog-cosignature', () => {
  it('reads both lines and the time of the cosignature', () => {
    const { text, signatures } = parseNote(vectorText('c2sp/checkpoint-with-cosignature.txt'));
    expect(text.split('\n')).toEqual(['example.com/behind-the-sofa', '20852163', 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', '']);
    expect(signatures.map(({ name, cosignedAtSec }) => [name, cosignedAtSec])).toEqual([
      ['example.com/behind-the-sofa', undefined],
      ['witness.example.com/w1', 1679315147],
    ]);
  });
});
