/** `policy.authzen` and `serve`: what the schema cannot see, and the plain data the rest works with. */
import { secretSources } from './channels.ts';
import type { AuthzenConfig, Config, ServeConfig } from './config.ts';
import type { AuthzenDocument, ServeDocument } from './decision-point-schema.ts';
import type { Look, Problem } from './document.ts';
import { DURATION_HINT, parseDuration } from './duration.ts';
import { AGENT_SHAPE } from './schema.ts';
import { placedSecret, placedSecrets, type SecretSource } from './secret.ts';
import { serverSecrets } from './servers.ts';

export const DEFAULT_SERVE_SOCKET = '.countersign/serve/decide.sock';
const DEFAULT_TIMEOUT_MS = 2_000;
/** The most `authzenPolicy` waits. */
const MAX_TIMEOUT_MS = 60_000;

type Place = (name: string) => string;

interface Documents {
  readonly authzen: AuthzenDocument | undefined;
  readonly serve: ServeDocument | undefined;
}

export function decisionPointProblems({ authzen, serve }: Documents, look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  if (authzen?.timeout !== undefined) {
    const timeoutMs = parseDuration(authzen.timeout);
    if (timeoutMs === undefined) problems.push(look(['policy', 'authzen', 'timeout'], DURATION_HINT));
    else if (timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS)
      problems.push(look(['policy', 'authzen', 'timeout'], 'from 1ms to 60s: a call waits for it'));
  }
  const seen = new Set<string>();
  (serve?.clients ?? []).forEach(({ agent }, at) => {
    const path = ['serve', 'clients', at, 'agent'];
    if (!AGENT_SHAPE.test(agent)) problems.push(look(path, 'use letters, digits and . _ : @ -, at most 128 characters'));
    // Two clients of one agent could settle, and wait for, each other's calls.
    if (seen.has(agent)) problems.push(look(path, `another client is the agent ${agent}; give each its own, or one client several tokens`));
    seen.add(agent);
  });
  if (serve?.port !== undefined && (serve.clients ?? []).length === 0)
    problems.push(look(['serve', 'port'], 'needs serve.clients: who asks on a port is known by a token only'));
  return problems;
}

/** @param place - makes a path absolute. */
export function workOutAuthzen(document: AuthzenDocument, place: Place): AuthzenConfig {
  const { url, id, version, token, timeout, allow_insecure: allowInsecure } = document;
  return {
    url,
    ...(id !== undefined && { id }),
    ...(version !== undefined && { version }),
    ...(token !== undefined && { token: placedSecret(token, place) }),
    timeoutMs: (timeout === undefined ? undefined : parseDuration(timeout)) ?? DEFAULT_TIMEOUT_MS,
    ...(allowInsecure !== undefined && { allowInsecure }),
  };
}

/** @param place - makes a path absolute. */
export function workOutServe({ port, socket, clients = [] }: ServeDocument, place: Place): ServeConfig {
  return {
    ...(port !== undefined && { port }),
    ...((socket !== undefined || port === undefined) && { socket: place(socket ?? DEFAULT_SERVE_SOCKET) }),
    clients: clients.map(({ agent, token, sessions }) => ({
      agent,
      tokens: placedSecrets(token, place),
      ...(sessions !== undefined && { sessions }),
    })),
  };
}

/** Every place a secret of the whole configuration lies: of channels, senders, alerts, clients, servers and the decision point that is asked. */
export function configuredSecrets({
  approvals,
  authzen,
  monitor,
  serve,
  servers,
}: Pick<Config, 'approvals' | 'authzen' | 'monitor' | 'serve' | 'servers'>): readonly SecretSource[] {
  return [
    ...secretSources(approvals),
    ...(authzen?.token === undefined ? [] : [authzen.token]),
    ...monitor.alerts.webhooks.flatMap(({ secrets }) => secrets),
    ...serve.clients.flatMap(({ tokens }) => tokens),
    ...serverSecrets(servers),
  ];
}
