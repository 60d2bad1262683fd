/**
 * What the proxy checks by itself, whatever the server behind it does. Where a server fails such a check and the proxy passes it, the
 * difference is wanted. Nothing else is: least of all a check that passed before.
 */
import type { Difference } from './compare.ts';

interface OwnCheck {
  readonly scenario: string;
  readonly check: string;
  readonly because: string;
}

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
];

/** @returns why the difference is wanted, or undefined. */
export function wanted({ scenario, check, direct, proxied }: Difference): string | undefined {
  const own = OWN_CHECKS.find((each) => each.scenario === scenario && each.check === check);
  if (own === undefined || direct === undefined || proxied === undefined || !direct.startsWith('FAILURE')) return undefined;
  return proxied === 'SUCCESS' || isLess(proxied, direct) ? own.because : undefined;
}

/** Nothing is said that was not said before, and something no longer is. */
function isLess(after: string, before: string): boolean {
  const left = before.split('\n');
  for (const line of after.split('\n')) {
    // The first line carries the status.
    const at = left.findIndex((each) => withoutStatus(each) === withoutStatus(line));
    if (at < 0) return false;
    left.splice(at, 1);
  }
  return left.length > 0;
}

function withoutStatus(line: string): string {
  return line.replace(/^[A-Z]+: /, '');
}
