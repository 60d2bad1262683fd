import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyActaReceipt } from '../../src/export/acta.ts';
import { type DsseEnvelope, openDsse, preAuthenticationEncoding } from '../../src/export/dsse.ts';
import { exportSigner } from '../../src/export/signer.ts';
import type { Json } from '../../src/index.ts';
import { verifyEd25519 } from '../../src/ledger/ed25519.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { hasVectors, vectorJson, vectorText } from '../vectors.ts';
import { entryRecord, exported, RECORDS, SIGNER } from './ledger.ts';

const { publicKey } = exportSigner(SIGNER);
const lines = <T>(text: string): readonly T[] => text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T]));
type Receipt = { readonly [member: string]: Json };
const ACTA = 'acta/aps-gateway-enforcement';
const jwk = (): Uint8Array => {
  const { keys } = vectorJson<{ keys: readonly { readonly x: string }[] }>(`${ACTA}/_keys/jwks.json`);
  return Buffer.from(keys[0]?.x ?? '', 'base64url');
};

interface Schema {
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly type?: string | readonly string[];
  readonly pattern?: string;
  readonly const?: Json;
  readonly enum?: readonly Json[];
  readonly minLength?: number;
  readonly minimum?: number;
}

/** The few keywords that schema uses. */
function conforms(value: unknown, schema: Schema): void {
  if (schema.type !== undefined) {
    const type = value === null ? 'null' : Number.isInteger(value) ? 'integer' : typeof value;
    expect([schema.type].flat()).toContain(type);
  }
  if (schema.const !== undefined) expect(value).toEqual(schema.const);
  if (schema.enum !== undefined) expect(schema.enum).toContain(value);
  if (schema.pattern !== undefined) expect(value).toMatch(new RegExp(schema.pattern));
  if (schema.minLength !== undefined) expect(String(value).length).toBeGreaterThanOrEqual(schema.minLength);
  if (schema.minimum !== undefined) expect(value).toBeGreaterThanOrEqual(schema.minimum);
  const members = value as Readonly<Record<string, unknown>>;
  for (const name of schema.required ?? []) expect(members).toHaveProperty(name);
  for (const [name, inner] of Object.entries(schema.properties ?? {})) if (name in members) conforms(members[name], inner);
}

describe('acta', () => {
  it('of the golden ledger is this file', async () => {
    await expect(exported('acta', { signer: SIGNER })).toMatchFileSnapshot('golden/ledger.acta.ndjson');
  });

  it('tells decisions to allow and deny, each with a signature of the key', () => {
    const receipts = lines<Receipt>(exported('acta', { signer: SIGNER }));
    expect(receipts.map(({ decision, tool_name, sequence }) => [decision, tool_name, sequence])).toEqual([
      ['allow', 'bank/refund', 4],
      ['deny', 'drop-table', 6],
      ['allow', 'bank/refund', 9],
      ['allow', 'report', 11],
    ]);
    for (const receipt of receipts) {
      expect(verifyActaReceipt(receipt, publicKey)).toBe(true);
      expect(receipt['public_key']).toBe(Buffer.from(publicKey).toString('hex'));
      for (const name of Object.keys(receipt)) {
        expect(verifyActaReceipt({ ...receipt, [name]: 'x' }, publicKey)).toBe(false);
        const { [name]: _gone, ...rest } = receipt;
        expect(verifyActaReceipt(rest, publicKey)).toBe(false);
      }
    }
  });

  it('takes nothing without a canonical form for signed', () => {
    const [receipt] = lines<Receipt>(exported('acta', { signer: SIGNER }));
    for (const odd of [Number.NaN, '\ud800', 5n]) expect(verifyActaReceipt({ ...receipt, odd: odd as Json }, publicKey)).toBe(false);
  });

  it('holds no clear text and no hash that could be guessed', () => {
    const text = exported('acta', { signer: SIGNER });
    expect(text).not.toMatch(/nobody may|iban|amount|input_hash|params_hash/);
    expect(text).toContain('"args_commit":"4e3d778f');
  });

  it('without a key says that it is not signed, and has neither key nor signature', () => {
    for (const receipt of lines<Receipt>(exported('acta'))) {
      expect(receipt).toMatchObject({ signed: false });
      expect(receipt).not.toHaveProperty('signature');
      expect(receipt).not.toHaveProperty('public_key');
      expect(verifyActaReceipt(receipt, publicKey)).toBe(false);
    }
  });

  it('signs a crafted entry as what it is, or passes it over', () => {
    const body = { kind: 'decision', at: 1, effect: 'allow', tool: { name: '\ud800\u202e' }, policy: { id: '__proto__' }, args_commit: 5 };
    const [receipt] = lines<Receipt>(exported('acta', { signer: SIGNER }, [entryRecord(body)]));
    expect(verifyActaReceipt(receipt ?? {}, publicKey)).toBe(true);
    for (const odd of [{ kind: 'decision', effect: 'allow' }, { kind: 'decision', effect: 'require_approval' }, { kind: 'note' }, []])
      expect(exported('acta', { signer: SIGNER }, [entryRecord(odd)])).toBe('');
  });
});

describe.skipIf(!hasVectors('acta'))('acta, with the receipts and the schema of others', () => {
  it.each(['2-external-verification', '3-state-drift', '4-portability'])('%s/receipt.json verifies, and no changed one does', (folder) => {
    const receipt = vectorJson<Receipt>(`${ACTA}/${folder}/receipt.json`);
    expect(verifyActaReceipt(receipt, jwk())).toBe(true);
    expect(verifyActaReceipt({ ...receipt, issuer: 'other' }, jwk())).toBe(false);
    expect(verifyActaReceipt({ ...receipt, signature: (receipt['signature'] as string).toUpperCase() }, jwk())).toBe(false);
    expect(verifyActaReceipt(receipt, publicKey)).toBe(false);
  });

  it('our receipts have the flat shape of the schema', () => {
    const { definitions } = vectorJson<{ definitions: { v1Flat: Schema } }>('acta/expected/receipt-schema.json');
    const receipts = lines<Receipt>(exported('acta', { signer: SIGNER }));
    expect(receipts.length).toBeGreaterThan(0);
    for (const receipt of receipts) conforms(receipt, definitions.v1Flat);
    expect(() => conforms({ ...receipts[0], decision: 'require_approval' }, definitions.v1Flat)).toThrow('require_approval');
  });

  it('4-portability/intoto-envelope.json opens by its PAE, and the signature over the bare payload does not verify', () => {
    const envelope = vectorJson<DsseEnvelope>(`${ACTA}/4-portability/intoto-envelope.json`);
    const payload = openDsse(envelope, jwk());
    expect(JSON.parse(Buffer.from(payload ?? []).toString())).toEqual(vectorJson(`${ACTA}/4-portability/in-toto-statement.json`));
    const signature = Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64');
    expect(verifyEd25519(jwk(), Buffer.from(envelope.payload, 'base64'), signature)).toBe(false);
    expect(verifyEd25519(jwk(), Buffer.from(envelope.payload), signature)).toBe(false);
    expect(openDsse({ ...envelope, payloadType: 'application/json' }, jwk())).toBeUndefined();
    expect(vectorText(`${ACTA}/4-portability/intoto-envelope.json`)).toContain(envelope.payload);
  });
});

describe('dsse', () => {
  it('of the golden ledger is this file', async () => {
    await expect(exported('dsse', { signer: SIGNER })).toMatchFileSnapshot('golden/ledger.dsse.ndjson');
  });

  it('has one envelope per entry, whose statement holds the stored text and its hash', () => {
    const envelopes = lines<DsseEnvelope>(exported('dsse', { signer: SIGNER }));
    expect(envelopes).toHaveLength(RECORDS.length);
    for (const [index, envelope] of envelopes.entries()) {
      const text = Buffer.from(openDsse(envelope, publicKey) ?? []).toString();
      const stored = RECORDS[index]?.text ?? '';
      expect(text).toContain(`"entry":${stored}}}`);
      expect(JSON.parse(text)).toMatchObject({
        _type: 'https://in-toto.io/Statement/v1',
        predicateType: 'urn:countersign:ledger-entry:v1',
        predicate: { index, leaf: leafHash(stored) },
      });
      expect(envelope.signatures[0]?.keyid).toBe(SIGNER.vkey);
    }
  });

  it('holds no openings', () => {
    const payloads = lines<DsseEnvelope>(exported('dsse', { signer: SIGNER })).map(({ payload }) =>
      Buffer.from(payload, 'base64').toString(),
    );
    expect(payloads.join('')).not.toContain('nobody may drop tables');
  });

  it('is refused without a key', () => {
    expect(() => exported('dsse')).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('does not open when anything about it was changed', () => {
    const [envelope] = lines<DsseEnvelope>(exported('dsse', { signer: SIGNER }));
    if (envelope === undefined) throw new Error('no envelope');
    const { payload, signatures } = envelope;
    const flip = (text: string, at: number): string => `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
    for (let at = 0; at < payload.length; at += 7) expect(openDsse({ ...envelope, payload: flip(payload, at) }, publicKey)).toBeUndefined();
    const [{ sig } = { sig: '' }] = signatures;
    for (let at = 0; at < sig.length; at++)
      expect(openDsse({ ...envelope, signatures: [{ sig: flip(sig, at) }] }, publicKey)).toBeUndefined();
    for (const broken of [
      { ...envelope, signatures: [] },
      { ...envelope, signatures: 'x' },
      { ...envelope, signatures: [{}] },
      { ...envelope, signatures: [{ sig: 5 }] },
      { ...envelope, payload: `${payload}\n` },
      { ...envelope, payload: 5 },
      { ...envelope, payloadType: undefined },
      { ...envelope, payload: 'A'.repeat(4_194_305) },
    ])
      expect(openDsse(broken as unknown as DsseEnvelope, publicKey)).toBeUndefined();
    expect(openDsse({ ...envelope, signatures: [{ sig: 'AAAA' }, ...signatures] }, publicKey)).toBeDefined();
  });

  it('is encoded by length in bytes, as the specification shows', () => {
    expect(Buffer.from(preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))).toString()).toBe(
      'DSSEv1 29 http://example.com/HelloWorld 11 hello world',
    );
    expect(Buffer.from(preAuthenticationEncoding('\u00e9', Buffer.from('\u20ac'))).toString()).toBe('DSSEv1 2 \u00e9 3 \u20ac');
  });

  it('verifies with another implementation of Ed25519 keys', () => {
    const [envelope] = lines<DsseEnvelope>(exported('dsse', { signer: SIGNER }));
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }, format: 'jwk' });
    const payload = Buffer.from(envelope?.payload ?? '', 'base64');
    const message = Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${payload.length} ${payload.toString('latin1')}`, 'latin1');
    expect(verify(null, message, key, Buffer.from(envelope?.signatures[0]?.sig ?? '', 'base64'))).toBe(true);
  });
});
