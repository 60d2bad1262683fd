import type { Detector } from './detector.ts';
import { AUTHORIZATION, AWS_SECRET_KEY, BASIC_CREDENTIALS, BEARER_TOKEN, COOKIE_HEADER, SECRET_HEADER } from './detectors/headers.ts';
import { CONNECTION_KEY, SECRET_PARAMETER, URL_PASSWORD, WEBHOOK_URL } from './detectors/parameters.ts';
import { JWT, PRIVATE_KEY } from './detectors/structures.ts';
import { API_KEY, fixedToken, runToken, SENDGRID_KEY, TWILIO_KEY } from './detectors/tokens.ts';

/**
 * What secrets look like inside a string. A new shape is one more line.
 *
 * Where two overlap, the kind of the one that starts first counts, then that of the one listed first. Checksums (GitHub has
 * one) are not consulted: a token that fails it may be one of a newer format, and is no ordinary text either.
 */
export const DETECTORS: readonly Detector[] = [
  PRIVATE_KEY,
  JWT,
  runToken('api-key', ['sk-ant-', 'sk-proj-', 'sk-svcacct-', 'sk-or-v1-'], 'A-Za-z0-9_-', 16),
  API_KEY,
  runToken('github-token', ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'], 'A-Za-z0-9_', 30),
  runToken('gitlab-token', ['glpat-', 'gldt-', 'glrt-', 'glptt-', 'glcbt-'], 'A-Za-z0-9_.-', 20),
  runToken('slack-token', ['xoxa-', 'xoxb-', 'xoxp-', 'xoxr-', 'xoxs-', 'xoxe-', 'xoxe.', 'xapp-'], 'A-Za-z0-9.-', 16),
  runToken('stripe-key', ['sk_live_', 'rk_live_', 'sk_test_', 'rk_test_'], 'A-Za-z0-9', 16),
  runToken('stripe-webhook-secret', ['whsec_'], 'A-Za-z0-9+/=', 24),
  fixedToken('google-api-key', ['AIza'], 'A-Za-z0-9_-', 35),
  runToken('google-token', ['ya29.'], 'A-Za-z0-9_-', 24),
  runToken('google-client-secret', ['GOCSPX-'], 'A-Za-z0-9_-', 24),
  fixedToken('npm-token', ['npm_'], 'A-Za-z0-9', 36),
  fixedToken('huggingface-token', ['hf_'], 'A-Za-z0-9', 34),
  fixedToken('aws-access-key', ['AKIA', 'ASIA'], 'A-Z0-9', 16),
  AWS_SECRET_KEY,
  SENDGRID_KEY,
  TWILIO_KEY,
  WEBHOOK_URL,
  URL_PASSWORD,
  CONNECTION_KEY,
  SECRET_PARAMETER,
  AUTHORIZATION,
  BEARER_TOKEN,
  BASIC_CREDENTIALS,
  COOKIE_HEADER,
  SECRET_HEADER,
];

/** The whole value of a member whose name says it is a secret. */
export const KEY_NAME_KIND = 'key-name';
/** One of the literal values the user configured. */
export const VALUE_KIND = 'value';
/** A whole string that could not be settled in `MAX_ROUNDS` (see `scan.ts`). */
export const TEXT_KIND = 'text';

export const REDACTION_KINDS: readonly string[] = [
  ...new Set([...DETECTORS.map((detector) => detector.kind), KEY_NAME_KIND, VALUE_KIND, TEXT_KIND]),
];
