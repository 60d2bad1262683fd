/**
 * Entries as in-toto statements in DSSE envelopes, one per line, for tools of the software supply chain.
 *
 *     envelope   {"payloadType":"application/vnd.in-toto+json","payload":<base64>,"signatures":[{"keyid":<verifier line>,"sig":<base64>}]}
 *     payload    {"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"<origin>#<number>","digest":{"sha256":<of the entry's bytes>}}],
 *                 "predicateType":"urn:countersign:ledger-entry:v1","predicate":{"index","leaf","origin","entry"}}
 *     signature  Ed25519 over PAE(payloadType, payload), never over the payload alone
 *
 * `entry` is the stored text itself. The signature says that the holder of the key exported this, no more: what proves
 * that it stands in the ledger is a receipt.
 */
import { hash } from 'node:crypto';
import type { LedgerRecord } from '../container/records.ts';
import { decodeBase64, encodeBase64 } from '../ledger/base64.ts';
import { verifyEd25519 } from '../ledger/ed25519.ts';
import { isOneLineOfJson } from './ndjson.ts';
import type { ExportSigner } from './signer.ts';

export const IN_TOTO_TYPE = 'application/vnd.in-toto+json';
export const ENTRY_PREDICATE = 'urn:countersign:ledger-entry:v1';
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
/** Longest payload that is read: an entry, base64 and what stands around it. */
const MAX_PAYLOAD_CHARS = 4_194_304;

export interface DsseEnvelope {
  readonly payloadType: string;
  readonly payload: string;
  readonly signatures: readonly { readonly keyid?: string; readonly sig: string }[];
}

/** One envelope with its newline. Always signed: an envelope without a signature would look like evidence. */
export function dsseLine(record: LedgerRecord, leaf: string, origin: string | undefined, signer: ExportSigner): string {
  const payload = Buffer.from(statement(record, leaf, origin));
  const sig = encodeBase64(signer.sign(preAuthenticationEncoding(IN_TOTO_TYPE, payload)));
  const envelope: DsseEnvelope = { payloadType: IN_TOTO_TYPE, payload: encodeBase64(payload), signatures: [{ keyid: signer.vkey, sig }] };
  return `${JSON.stringify(envelope)}\n`;
}

/** DSSE v1: `DSSEv1 <length> <type> <length> <payload>`, lengths in bytes. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

/** @returns the payload when at least one signature is by this key; undefined otherwise, whatever the envelope holds. */
export function openDsse(envelope: DsseEnvelope, publicKey: Uint8Array): Uint8Array | undefined {
  if (typeof envelope.payload !== 'string' || envelope.payload.length > MAX_PAYLOAD_CHARS) return undefined;
  const payload = decodeBase64(envelope.payload);
  if (payload === undefined || typeof envelope.payloadType !== 'string' || !Array.isArray(envelope.signatures)) return undefined;
  const message = preAuthenticationEncoding(envelope.payloadType, payload);
  const isSigned = envelope.signatures.some(({ sig }: { readonly sig?: unknown }) => {
    const signature = typeof sig === 'string' ? decodeBase64(sig) : undefined;
    return signature !== undefined && verifyEd25519(publicKey, message, signature);
  });
  return isSigned ? payload : undefined;
}

function statement({ index, text }: LedgerRecord, leaf: string, origin: string | undefined): string {
  const subject = [{ name: `${origin ?? 'ledger'}#${index + 1}`, digest: { sha256: hash('sha256', text, 'hex') } }];
  const head = JSON.stringify({ _type: STATEMENT_TYPE, subject, predicateType: ENTRY_PREDICATE });
  const where = JSON.stringify({ index, leaf, origin: origin ?? null });
  const entry = isOneLineOfJson(text) ? text : JSON.stringify(text);
  return `${head.slice(0, -1)},"predicate":${where.slice(0, -1)},"entry":${entry}}}`;
}
