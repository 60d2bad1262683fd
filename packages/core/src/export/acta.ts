/**
 * Decisions as Acta receipts (draft-farley-acta-signed-receipts, flat shape `receipt_version` 1.0), one per line, for
 * tools that read those. The signature is Ed25519, hex, over the RFC 8785 text of the receipt without `signature`.
 *
 *     {"receipt_id":"rec_ca05...","receipt_version":"1.0","issuer_id":"example.com/billing","tool_name":"bank/refund",
 *      "decision":"allow","policy_id":"billing","timestamp":"2026-01-01T00:00:03.000Z","sequence":4,
 *      "countersign":{"entry":4,"leaf":"ca05...","args_commit":"4e3d...", ...},"public_key":"8a88...","signature":"..."}
 *
 * - A question (`require_approval`) is neither allow nor deny there, so only the decisions after it are told.
 * - `input_hash` is left out: an unsalted hash of arguments can be guessed. `args_commit` is our salted commitment.
 * - `parent_receipt_hash` is left out: order is proven by the ledger's tree, which a receipt of ours can show.
 * - The signature says that the holder of the key exported this; it is none of the ledger's.
 */
import type { Json } from '../call.ts';
import type { RecordFacts } from '../container/record-facts.ts';
import { textOf } from '../container/stored-json.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { verifyEd25519 } from '../ledger/ed25519.ts';
import type { ExportSigner } from './signer.ts';

const ID_CHARS = 32;

/** One receipt with its newline; empty for what is no decision to allow or deny. Without a signer it is no receipt yet: unsigned. */
export function actaLine(facts: RecordFacts, origin: string | undefined, signer: ExportSigner | undefined): string {
  const { kind, effect, tool, policy, time } = facts;
  if (kind !== 'decision' || (effect !== 'allow' && effect !== 'deny') || tool === undefined || time === undefined) return '';
  const receipt = {
    receipt_id: `rec_${facts.leaf.slice(0, ID_CHARS)}`,
    receipt_version: '1.0',
    issuer_id: signer?.name ?? origin,
    tool_name: tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`,
    decision: effect,
    policy_id: policy?.id ?? '',
    timestamp: time,
    sequence: facts.index + 1,
    countersign: {
      entry: facts.index + 1,
      leaf: facts.leaf,
      origin,
      agent: facts.agent,
      session: facts.session,
      call: facts.call,
      reason_code: facts.reasonCode,
      policy_hash: policy?.hash,
      args_commit: textOf(facts.body, 'args_commit'),
    },
    ...(signer === undefined ? { signed: false } : { public_key: Buffer.from(signer.publicKey).toString('hex') }),
  };
  // Names of a tampered entry may hold what has no canonical form: it is made well-formed, not passed over.
  const plain = JSON.parse(JSON.stringify(receipt), (_name, value: Json) =>
    typeof value === 'string' ? value.toWellFormed() : value,
  ) as object;
  if (signer === undefined) return `${canonicalize(plain)}\n`;
  const signature = Buffer.from(signer.sign(Buffer.from(canonicalize(plain)))).toString('hex');
  return `${canonicalize({ ...plain, signature })}\n`;
}

/** Whether the signature of a receipt is by this key: over its canonical text without `signature`. */
export function verifyActaReceipt(receipt: { readonly [member: string]: Json }, publicKey: Uint8Array): boolean {
  const { signature, ...rest } = receipt;
  if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature)) return false;
  try {
    return verifyEd25519(publicKey, Buffer.from(canonicalize(rest)), Buffer.from(signature, 'hex'));
  } catch (error) {
    // What has no canonical form was never signed.
    if (CountersignError.is(error)) return false;
    throw error;
  }
}
