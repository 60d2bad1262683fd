import type { Check } from './suites.ts';

export interface Difference {
  readonly scenario: string;
  readonly check: string;
  /** Statuses and messages, absent where the check was not made. */
  readonly direct: string | undefined;
  readonly proxied: string | undefined;
}

export interface Summary {
  readonly scenarios: number;
  readonly passed: number;
  readonly failed: number;
  readonly warned: number;
}

/** Check by check: what a suite says of a server is said of the same server through the proxy, word for word. */
export function differences(direct: readonly Check[], proxied: readonly Check[]): readonly Difference[] {
  const [before, after] = [byCheck(direct), byCheck(proxied)];
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((key) => {
    const [one, other] = [before.get(key), after.get(key)];
    if (one?.join('\n') === other?.join('\n')) return [];
    const [scenario = '', check = ''] = key.split('\n');
    return [{ scenario, check, direct: one?.join('; '), proxied: other?.join('; ') }];
  });
}

export function summary(checks: readonly Check[]): Summary {
  const of = (status: string): number => checks.filter((check) => check.status === status).length;
  return {
    scenarios: new Set(checks.map(({ scenario }) => scenario)).size,
    passed: of('SUCCESS'),
    failed: of('FAILURE'),
    warned: of('WARNING'),
  };
}

/** One check is made several times in some scenarios, each time with the same id. */
function byCheck(checks: readonly Check[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { scenario, id, name, status, message } of checks) {
    const key = `${scenario}\n${id} ${name}`;
    found.set(key, [...(found.get(key) ?? []), message === '' ? status : `${status}: ${message}`]);
  }
  return found;
}
