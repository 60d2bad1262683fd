import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, hash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { generateKey, MAX_KEY_FILE_BYTES, readSigner, signerFromPem, verifyEd25519, writeKeyFile } from '../../src/ledger/keys.ts';
import { parseVerifierKey } from '../../src/ledger/note.ts';
import { hasVectors, vectorJson } from '../vectors.ts';

const NAME = 'example.com/log';
const MESSAGE = Buffer.from('hello');
const badKey = expect.objectContaining({ code: 'KEY_INVALID' });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (CountersignError.is(error)) return `${error.message} ${String(error.cause)} ${JSON.stringify(error.details)}`;
    throw error;
  }
  return expect.unreachable();
}

describe('generateKey and signerFromPem', () => {
  it.each([undefined, 'correct horse'])('makes a key that signs under its line (passphrase %s)', (passphrase) => {
    const { privatePem, vkey } = generateKey(NAME, passphrase);
    const signer = signerFromPem(privatePem, NAME, passphrase);
    expect(signer.vkey).toBe(vkey);
    const { publicKey } = parseVerifierKey(vkey);
    const signature = signer.sign(MESSAGE);
    expect(verifyEd25519(publicKey, MESSAGE, signature)).toBe(true);
    expect(verifyEd25519(publicKey, Buffer.from('hellp'), signature)).toBe(false);
    expect(privatePem.includes('ENCRYPTED')).toBe(passphrase !== undefined);
  });

  it('makes another key each time, and shows nothing of it', () => {
    const one = generateKey(NAME);
    expect(generateKey(NAME).vkey).not.toBe(one.vkey);
    const signer = signerFromPem(one.privatePem, NAME);
    expect(Object.keys(signer).toSorted()).toEqual(['sign', 'vkey']);
    expect(JSON.stringify(signer)).not.toContain(one.privatePem.split('\n')[1] as string);
  });

  it('refuses a bad name and an empty passphrase', () => {
    for (const name of ['', 'a b', 'a+b']) {
      expect(() => generateKey(name)).toThrow(badKey);
      expect(() => signerFromPem(generateKey(NAME).privatePem, name)).toThrow(badKey);
    }
    expect(() => generateKey(NAME, '')).toThrow(badKey);
  });

  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  it.each<[string, string]>([
    ['nothing', ''],
    ['garbage', 'hunter2'],
    ['random bytes', randomBytes(200).toString('latin1')],
    ['a public key', publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ['a key for X25519', generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['a key for Ed448', generateKeyPairSync('ed448').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['a key for P-256', p256.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['an older PEM form', p256.export({ type: 'sec1', format: 'pem' }).toString()],
    ['text before the key', `key:\n${pem}`],
    ['text after the key', `${pem}more`],
    ['two keys', pem + pem],
    ['a truncated key', pem.slice(0, 60)],
    ['a key with a hole', pem.replace(/\n..../, '\n')],
    ['too long a text', pem + '\n'.repeat(MAX_KEY_FILE_BYTES)],
  ])('refuses %s', (_name, text) => {
    expect(() => signerFromPem(text, NAME)).toThrow(badKey);
  });

  it('refuses a wrong, empty or missing passphrase', () => {
    const encrypted = generateKey(NAME, 'correct horse').privatePem;
    for (const passphrase of [undefined, '', 'correct hors', 'correct horse ']) {
      expect(() => signerFromPem(encrypted, NAME, passphrase)).toThrow(badKey);
    }
  });

  it('never quotes a key, a file or a passphrase', () => {
    const plain = generateKey(NAME).privatePem;
    const secret = (plain.split('\n')[1] as string).slice(0, 20);
    const encrypted = generateKey(NAME, 'correct horse').privatePem;
    expect(messageOf(() => signerFromPem(`x${plain}`, NAME))).not.toContain(secret);
    expect(messageOf(() => signerFromPem(plain.replace(/\n..../, '\n'), NAME))).not.toContain(secret.slice(4));
    expect(messageOf(() => signerFromPem(encrypted, NAME, 'hunter2'))).not.toContain('hunter2');
    const path = join(folder, 'key');
    writeFileSync(path, 'hunter2', { mode: 0o600 });
    expect(messageOf(() => readSigner(path, NAME))).not.toContain('hunter2');
  });
});

describe('writeKeyFile and readSigner', () => {
  it('keeps a key and its line', () => {
    const path = join(folder, 'ledger.key');
    const { privatePem, vkey } = generateKey(NAME, 'correct horse');
    writeKeyFile(path, privatePem, vkey);
    expect(readSigner(path, NAME, 'correct horse').vkey).toBe(vkey);
    expect(readFileSync(`${path}.pub`, 'utf8')).toBe(`${vkey}\n`);
    if (process.platform === 'win32') return;
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}.pub`).mode & 0o133).toBe(0);
  });

  it('writes the key alone when no line is given', () => {
    const path = join(folder, 'ledger.key');
    writeKeyFile(path, generateKey(NAME).privatePem);
    expect(existsSync(`${path}.pub`)).toBe(false);
  });

  it('never overwrites, neither file nor link, and says so', () => {
    const path = join(folder, 'ledger.key');
    const { privatePem, vkey } = generateKey(NAME);
    writeKeyFile(path, privatePem, vkey);
    expect(messageOf(() => writeKeyFile(path, generateKey(NAME).privatePem, vkey))).toContain('never overwritten');
    expect(readSigner(path, NAME).vkey).toBe(vkey);
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'link'));
    expect(() => writeKeyFile(join(folder, 'link'), privatePem, vkey)).toThrow(badKey);
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
  });

  it('leaves no half when the line cannot be written', () => {
    const path = join(folder, 'ledger.key');
    writeFileSync(`${path}.pub`, 'old');
    const { privatePem, vkey } = generateKey(NAME);
    expect(() => writeKeyFile(path, privatePem, vkey)).toThrow(badKey);
    expect(existsSync(path)).toBe(false);
    expect(readFileSync(`${path}.pub`, 'utf8')).toBe('old');
  });

  it('refuses a folder that is not there', () => {
    expect(() => writeKeyFile(join(folder, 'no', 'ledger.key'), generateKey(NAME).privatePem)).toThrow(badKey);
  });

  it('tells a missing key from a bad one', () => {
    expect(() => readSigner(join(folder, 'none'), NAME)).toThrow(expect.objectContaining({ code: 'KEY_NOT_FOUND' }));
    expect(() => readSigner(folder, NAME)).toThrow(badKey);
    expect(() => readSigner(join(folder, 'a\0b'), NAME)).toThrow(badKey);
    mkdirSync(join(folder, 'sub'), { mode: 0o700 });
    expect(() => readSigner(join(folder, 'sub'), NAME)).toThrow(badKey);
  });

  it.skipIf(process.platform === 'win32').each([0o640, 0o604, 0o620, 0o601, 0o644, 0o777])('refuses mode %o, with the way out', (mode) => {
    const path = join(folder, 'ledger.key');
    writeKeyFile(path, generateKey(NAME).privatePem);
    chmodSync(path, mode);
    expect(() => readSigner(path, NAME)).toThrow(badKey);
    expect(messageOf(() => readSigner(path, NAME))).toContain('chmod 600');
    chmodSync(path, 0o400);
    expect(readSigner(path, NAME).vkey).toContain(NAME);
  });

  it.skipIf(process.platform === 'win32')('follows a link to the mode of its file, and does not hang on a pipe', () => {
    const path = join(folder, 'ledger.key');
    writeKeyFile(path, generateKey(NAME).privatePem);
    symlinkSync(path, join(folder, 'link'));
    expect(readSigner(join(folder, 'link'), NAME).vkey).toContain(NAME);
    chmodSync(path, 0o644);
    expect(() => readSigner(join(folder, 'link'), NAME)).toThrow(badKey);
    execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')]);
    expect(() => readSigner(join(folder, 'pipe'), NAME)).toThrow(badKey);
  });

  it('refuses a file that is too long', () => {
    const path = join(folder, 'ledger.key');
    writeFileSync(path, generateKey(NAME).privatePem + '\n'.repeat(MAX_KEY_FILE_BYTES), { mode: 0o600 });
    expect(messageOf(() => readSigner(path, NAME))).toContain(`${MAX_KEY_FILE_BYTES}`);
  });
});

describe('verifyEd25519', () => {
  it('answers false for keys and signatures of another length', () => {
    const { privatePem, vkey } = generateKey(NAME);
    const { publicKey } = parseVerifierKey(vkey);
    const signature = signerFromPem(privatePem, NAME).sign(MESSAGE);
    for (const length of [0, 31]) expect(verifyEd25519(publicKey.subarray(0, length), MESSAGE, signature)).toBe(false);
    for (const length of [0, 63]) expect(verifyEd25519(publicKey, MESSAGE, signature.subarray(0, length))).toBe(false);
    expect(verifyEd25519(Buffer.concat([publicKey, Buffer.of(0)]), MESSAGE, signature)).toBe(false);
    expect(verifyEd25519(publicKey, MESSAGE, Buffer.concat([signature, Buffer.of(0)]))).toBe(false);
  });

  it('does not confuse keys when the cache turns over or a buffer is reused', () => {
    const keys = Array.from({ length: 200 }, () => generateKey(NAME));
    const signatures = keys.map(({ privatePem }) => signerFromPem(privatePem, NAME).sign(MESSAGE));
    const reused = Buffer.alloc(32);
    for (let round = 0; round < 2; round++) {
      keys.forEach(({ vkey }, index) => {
        reused.set(parseVerifierKey(vkey).publicKey);
        expect(verifyEd25519(reused, MESSAGE, signatures[index] as Uint8Array)).toBe(true);
        expect(verifyEd25519(reused, MESSAGE, signatures[(index + 1) % 200] as Uint8Array)).toBe(false);
      });
    }
  });
});

interface Wycheproof {
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string };
    readonly tests: readonly { readonly tcId: number; readonly msg: string; readonly sig: string; readonly result: string }[];
  }[];
}

interface EdgeCase {
  readonly number: number;
  readonly key: string;
  readonly sig: string;
  readonly msg: string;
  readonly flags: readonly string[] | null;
}

describe.skipIf(!hasVectors('ed25519'))('vectors of Ed25519', () => {
  it('agrees with Wycheproof', () => {
    let count = 0;
    for (const group of vectorJson<Wycheproof>('ed25519/wycheproof-ed25519_test.json').testGroups) {
      const publicKey = Buffer.from(group.publicKey.pk, 'hex');
      for (const test of group.tests) {
        const verified = verifyEd25519(publicKey, Buffer.from(test.msg, 'hex'), Buffer.from(test.sig, 'hex'));
        expect(verified, `case ${test.tcId}`).toBe(test.result === 'valid');
        count += 1;
      }
    }
    expect(count).toBe(151);
  });

  it('treats the edge cases of CCTV as pinned, so that no second verifier may differ', () => {
    const cases = vectorJson<EdgeCase[]>('ed25519/cctv-ed25519vectors.json');
    const accepted = cases.filter(({ key, msg, sig }) => verifyEd25519(Buffer.from(key, 'hex'), Buffer.from(msg), Buffer.from(sig, 'hex')));
    expect([cases.length, accepted.length]).toEqual([914, 43]);
    const refusedFlags = ['low_order_A', 'low_order_R', 'low_order_residue', 'non_canonical_A', 'non_canonical_R', 'reencoded_k'];
    expect(accepted.filter(({ flags }) => flags?.some((flag) => refusedFlags.includes(flag)))).toEqual([]);
    const numbers = accepted.map(({ number }) => number).join(',');
    expect(hash('sha256', numbers)).toBe('36521713b91ca5d28544f38cd646b5494f5911399bfe4635a8bf2f2a88f13bcf');
  });
});
