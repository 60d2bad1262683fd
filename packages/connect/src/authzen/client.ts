/**
 * A policy that asks an AuthZEN decision point over HTTP.
 *
 * One call is one `POST {url}/access/v1/evaluation` (see `request.ts`); the answer is read by `verdict.ts`. Everything that is
 * not a well-formed answer this version can honour in full is a deny with `POLICY_EVALUATION_FAILED`, in audit mode too.
 *
 * @see OpenID AuthZEN Authorization API 1.0, sections 6 and 10
 */
import type { Policy, PolicyInput, PolicyVerdict } from '@countersign/core';
import { CountersignError, policyHash } from '@countersign/core';
import { requireVerifiedTls, Unusable } from '../http/post.ts';
import { baseUrl, endpointOf } from './endpoint.ts';
import { postForJson, unlessAborted } from './exchange.ts';
import { evaluationRequest } from './request.ts';
import { readVerdict } from './verdict.ts';

export interface AuthzenOptions {
  /** Base URL of the decision point, without `/access/v1/evaluation`. No credentials, query or fragment: it is recorded. */
  readonly url: string;
  /** Names the policy in decisions: 1 to 128 printable ASCII characters; default `authzen`. */
  readonly id?: string;
  /** Version of the rules behind the URL, if you track it; recorded, never sent. Same form as `id`. */
  readonly version?: string;
  /** Gives the bearer token for one request. Its time counts towards `timeoutMs`. */
  readonly token?: () => string | Promise<string>;
  /** Milliseconds for the whole evaluation, retry included: an integer from 1 to 60000; default 2000. */
  readonly timeoutMs?: number;
  /** Permits plain http to hosts other than this one, and TLS with verification switched off in the environment. */
  readonly allowInsecure?: boolean;
}

const DEFAULT_TIMEOUT_MS = 2_000;
const MAX_TIMEOUT_MS = 60_000;
const LABEL = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;

/**
 * A policy answered by an AuthZEN 1.0 decision point. It never abstains and never throws.
 *
 * The decision point receives the shown view of the arguments (secrets already replaced), never raw ones.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function authzenPolicy(options: AuthzenOptions): Policy {
  const url = baseUrl(options.url, options.allowInsecure === true);
  const id = label('id', options.id ?? 'authzen');
  const version = options.version === undefined ? {} : { version: label('version', options.version) };
  // Canonical JSON as it stands: members in order, and no value holds anything but ASCII.
  const document = JSON.stringify({ id, kind: 'authzen', url: url.href, ...version });
  const asked: DecisionPoint = {
    id,
    endpoint: endpointOf(url),
    token: options.token,
    timeoutMs: timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    allowInsecure: options.allowInsecure === true,
  };
  return { id, ...version, hash: policyHash(document), document, evaluate: (input) => evaluate(asked, input) };
}

interface DecisionPoint {
  readonly id: string;
  readonly endpoint: URL;
  readonly token: AuthzenOptions['token'];
  readonly timeoutMs: number;
  readonly allowInsecure: boolean;
}

async function evaluate(point: DecisionPoint, input: PolicyInput): Promise<PolicyVerdict> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), point.timeoutMs);
  try {
    requireVerifiedTls(point.endpoint, point.allowInsecure);
    const body = evaluationRequest(input);
    const token = await bearerToken(point, deadline.signal);
    const answer = await postForJson(point.endpoint, body, token, deadline.signal);
    return readVerdict(answer, token);
  } catch (error) {
    return failed(point, deadline.signal.aborted ? `did not answer within ${point.timeoutMs} ms` : reasonOf(error));
  } finally {
    clearTimeout(timer);
    // Also drops the connection of an answer that was not read to its end.
    deadline.abort();
  }
}

const MAX_TOKEN_CHARS = 8_192;
/** RFC 6750, section 2.1. Anything else could end the header and begin another. */
const BEARER_TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

async function bearerToken(point: DecisionPoint, signal: AbortSignal): Promise<string | undefined> {
  if (point.token === undefined) return undefined;
  const token: unknown = await unlessAborted(callToken(point.token), signal);
  if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARS || !BEARER_TOKEN.test(token)) {
    throw new Unusable(`was not asked: the token function must give a bearer token of at most ${MAX_TOKEN_CHARS} characters`);
  }
  return token;
}

/** Whatever the function throws may name a secret, so none of it is kept. */
async function callToken(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token();
  } catch {
    throw new Unusable('was not asked: the token function failed');
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Unusable ? error.message : 'could not be asked: unexpected error';
}

function failed(point: DecisionPoint, what: string): PolicyVerdict {
  return { effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED', reason: `decision point ${point.id} ${what}` };
}

function label(name: string, value: string): string {
  if (typeof value === 'string' && LABEL.test(value)) return value;
  throw new CountersignError('OPTIONS_INVALID', `${name} must be 1 to 128 printable ASCII characters`);
}

function timeout(value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_TIMEOUT_MS) return value;
  throw new CountersignError('OPTIONS_INVALID', `timeoutMs must be an integer from 1 to ${MAX_TIMEOUT_MS}`);
}
