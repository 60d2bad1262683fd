/** Longer names are never taken for another one: folding costs, and no decoder drops that much. */
const MAX_FOLDED_CHARS = 64;
const IGNORED = /[\p{Default_Ignorable_Code_Point}\p{M}\p{Cc}\p{Cf}\s]/gu;
const PLAIN = /^[a-z_/]*$/;

/**
 * The name that `text` is but for case, width, accents or invisible characters; `undefined` if it is none of `names`
 * or exactly one of them.
 *
 * Decoders differ: Go's `encoding/json` takes `Method`, and `params` written with U+017F, for the real key. A message
 * that two readers read differently is decided by neither.
 *
 * @param names - lower-case ASCII.
 */
export function lookalike(text: string, names: ReadonlySet<string>): string | undefined {
  if (text.length > MAX_FOLDED_CHARS || PLAIN.test(text)) return undefined;
  // Upper case first: it is what joins dotless i and long s to their ASCII letters.
  const folded = text.normalize('NFKC').replace(IGNORED, '').toUpperCase().toLowerCase().normalize('NFD').replace(IGNORED, '');
  return names.has(folded) && !names.has(text) ? folded : undefined;
}
