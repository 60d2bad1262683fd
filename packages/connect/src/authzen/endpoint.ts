import { CountersignError } from '@countersign/core';
import { absoluteUrl, under } from '../http/url.ts';

const EVALUATION_PATH = '/access/v1/evaluation';

/**
 * Parses the base URL of a decision point. The result is recorded in the ledger as part of the policy document, so it may
 * hold no secret; error messages never repeat it.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function baseUrl(text: string, allowInsecure: boolean): URL {
  const url = absoluteUrl(text, allowInsecure, 'must not hold credentials: use the token option');
  if (url.pathname.endsWith(EVALUATION_PATH))
    throw new CountersignError('OPTIONS_INVALID', `url must be the base, without ${EVALUATION_PATH}`);
  return url;
}

export function endpointOf(base: URL): URL {
  return under(base, EVALUATION_PATH);
}
