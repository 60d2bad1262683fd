/** What the documents of policies tell of the bundles in them. The transaction reads it, so it knows nothing else of bundles. */
import { createHash } from 'node:crypto';
import { canonicalize } from '../ledger/canonical.ts';

/** A bundle of which a document tells. */
export interface BundleMark {
  readonly id: string;
  readonly serial: number;
  /** Of what was signed. */
  readonly digest: string;
}

/** The bundles in a policy's document, composed ones too: what a ledger remembers, so that none is rolled back. */
export function bundlesIn(document: string): readonly BundleMark[] {
  if (!document.includes('bundle')) return [];
  const value = parsed(document);
  if (typeof value !== 'object' || value === null) return [];
  const { kind, bundle, policies }: { readonly kind?: unknown; readonly bundle?: unknown; readonly policies?: unknown } = value;
  if (kind === 'composed' && Array.isArray(policies))
    return policies.flatMap((part: { readonly document?: unknown }) => (typeof part.document === 'string' ? bundlesIn(part.document) : []));
  if (kind !== 'bundle' || typeof bundle !== 'object' || bundle === null) return [];
  const { id, serial }: { readonly id?: unknown; readonly serial?: unknown } = bundle;
  if (typeof id !== 'string' || typeof serial !== 'number') return [];
  return [{ id, serial, digest: createHash('sha256').update(canonicalize(bundle)).digest('hex') }];
}

/** The document of a policy that somebody wrote may be any text, and this runs in the transaction of many calls. */
function parsed(document: string): unknown {
  try {
    return JSON.parse(document);
  } catch {
    return undefined;
  }
}
