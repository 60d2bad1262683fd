/**
 * Differences that are no fault: named one by one, each with its reason. Anything else between a server and the proxy before it is one,
 * and above all a check that passed before and fails now.
 */
import type { Difference } from './compare.ts';

interface OwnCheck {
  readonly scenario: string;
  readonly check: string;
  readonly because: string;
  /** Only before a server over stdio: over HTTP that is the server's to do. */
  readonly ofBridge?: true;
}

/** The proxy checks these by itself, whatever the server behind it does. Where the server fails such a check, the proxy passes it. */
const OWN_CHECKS: readonly OwnCheck[] = [
  {
    scenario: 'dns-rebinding-protection',
    check: 'localhost-host-rebinding-rejected DNSRebindingRejected',
    because: 'the proxy refuses requests for other hosts and from other origins',
  },
  {
    scenario: 'tasks-request-headers',
    check: 'tasks-headers-reject-mismatched-method TasksHeadersRejectMismatchedMethod',
    because: 'the proxy refuses headers that name another method than the message',
  },
  {
    scenario: 'tasks-request-headers',
    check: 'wire-schema-valid WireSchemaValid',
    because: 'an answer of the proxy stands in place of a malformed one of the server',
  },
  {
    scenario: 'server-session-lifecycle',
    check: 'server-session-terminated-returns-404 SessionTerminatedReturns404',
    because: "before a server over stdio the sessions are the proxy's own",
    ofBridge: true,
  },
];

/** How an HTTP server uses its streams. One over stdio has none: before it the proxy answers, and must not fail. */
const OF_STREAMS: ReadonlySet<string> = new Set(['server-sse-polling', 'server-sse-multiple-streams']);

/**
 * What the SDK's server over stdio does differently from its server over HTTP, proxy or not: once a connection has begun in a version,
 * the version that a later request names is not looked at.
 */
const OF_STDIO_SERVERS: ReadonlySet<string> = new Set([
  'sep-2575-http-server-unsupported-version-400 HttpServerUnsupportedVersion400',
  'sep-2575-server-unsupported-version-error ServerUnsupportedVersionError',
]);

/**
 * @param isBridge - the server behind the proxy is one over stdio.
 * @returns why the difference is none to mind, or undefined.
 */
export function wanted({ scenario, check, direct, proxied }: Difference, isBridge = false): string | undefined {
  if (isBridge && OF_STREAMS.has(scenario) && !(proxied ?? '').includes('FAILURE')) return 'a server over stdio has no streams of HTTP';
  if (isBridge && scenario === 'server-stateless' && OF_STDIO_SERVERS.has(check)) return 'so says the server over stdio';
  const own = OWN_CHECKS.find((each) => each.scenario === scenario && each.check === check && (each.ofBridge !== true || isBridge));
  if (own === undefined || direct === undefined || proxied === undefined || !direct.startsWith('FAILURE')) return undefined;
  return proxied === 'SUCCESS' || isLess(proxied, direct) ? own.because : undefined;
}

/** Nothing is said that was not said before, and something no longer is. */
function isLess(after: string, before: string): boolean {
  const left = before.split('\n').map(withoutStatus);
  for (const line of after.split('\n')) {
    const at = left.indexOf(withoutStatus(line));
    if (at < 0) return false;
    left.splice(at, 1);
  }
  return left.length > 0;
}

/** The first line carries it. */
function withoutStatus(line: string): string {
  return line.replace(/^[A-Z]+: /, '');
}
