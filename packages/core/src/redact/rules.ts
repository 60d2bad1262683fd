import type { Detector } from './detector.ts';
import { AI_SERVICES } from './detectors/ai-services.ts';
import { BUSINESS_SERVICES } from './detectors/business-services.ts';
import { CLOUDS } from './detectors/clouds.ts';
import { CODE_SERVICES } from './detectors/code-services.ts';
import { COMMAND_PASSWORD } from './detectors/commands.ts';
import { AUTHORIZATION, BASIC_CREDENTIALS, BEARER_TOKEN, COOKIE_HEADER, SECRET_HEADER } from './detectors/headers.ts';
import { secretMember } from './detectors/members.ts';
import { MONITORING_SERVICES } from './detectors/monitoring-services.ts';
import { namedValue } from './detectors/named-values.ts';
import { CONNECTION_KEY, SECRET_PARAMETER, URL_PASSWORD, WEBHOOK_URL } from './detectors/parameters.ts';
import { CARD_NUMBER, IBAN } from './detectors/payment-numbers.ts';
import { AGE_KEY, JWT, KUBERNETES_TOKEN, PRIVATE_KEY, PUTTY_KEY } from './detectors/structures.ts';

/**
 * What secrets look like inside a string. A new shape is one more line in the table of its field.
 *
 * Where two overlap, the kind of the one that starts first counts, then that of the one listed first: what is most exact stands
 * first, what is known only by its place (a header, a parameter) last. Where a format has a checksum, its detector says
 * whether a wrong one clears a token: only where ordinary text has that form too.
 */
export const DETECTORS: readonly Detector[] = [
  PRIVATE_KEY,
  PUTTY_KEY,
  AGE_KEY,
  KUBERNETES_TOKEN,
  JWT,
  ...AI_SERVICES,
  ...CODE_SERVICES,
  ...CLOUDS,
  ...BUSINESS_SERVICES,
  ...MONITORING_SERVICES,
  CARD_NUMBER,
  IBAN,
  WEBHOOK_URL,
  URL_PASSWORD,
  CONNECTION_KEY,
  SECRET_PARAMETER,
  AUTHORIZATION,
  BEARER_TOKEN,
  BASIC_CREDENTIALS,
  COOKIE_HEADER,
  SECRET_HEADER,
  COMMAND_PASSWORD,
  secretMember(),
  namedValue(),
];

/** The detectors, with more names that mean a secret (each as its words). */
export function detectorsFor(keys: readonly (readonly string[])[]): readonly Detector[] {
  return keys.length === 0 ? DETECTORS : [...DETECTORS, secretMember(keys), namedValue(keys)];
}

/** The whole value of a member whose name says it is a secret. */
export const KEY_NAME_KIND = 'key-name';
/** One of the literal values the user configured. */
export const VALUE_KIND = 'value';
/** A run of base64, percent-encoded or escaped text with a secret in it. */
export const ENCODED_KIND = 'encoded';
/** A whole string that could not be settled in `MAX_ROUNDS` (see `scan.ts`). */
export const TEXT_KIND = 'text';

export const REDACTION_KINDS: readonly string[] = [
  ...new Set([...DETECTORS.map((detector) => detector.kind), KEY_NAME_KIND, VALUE_KIND, ENCODED_KIND, TEXT_KIND]),
];
