/**
 * Clients over HTTP in front of several servers as one. A session has a gateway of its own, and so processes and connections of its
 * own; clients without sessions (2026-07-28) are told to open one, because servers that clients share must not be greeted as one of them.
 */
import { errorAnswer } from '../answer.ts';
import type { GatewayParts, GatewayTarget } from '../gateway/assemble.ts';
import { SESSION_VERSIONS, UNSUPPORTED_VERSION } from '../gateway/handshake.ts';
import { GuardSource } from '../guard-source.ts';
import { oneGuard } from '../one-guard.ts';
import { UNREADABLE_TOOL } from '../refusals.ts';
import { Bridge, type BridgeOptions, MAX_BRIDGE_SESSIONS } from './bridge.ts';
import { GatewayPeer } from './gateway-peer.ts';
import { PostLane, trimmed } from './post-lane.ts';
import { answerAccepted, answerJson } from './refuse.ts';

/** Servers of all sessions at once; with many servers there is room for fewer sessions. */
export const MAX_GATEWAY_SERVERS = 256;

export interface GatewayBridgeOptions extends Omit<GatewayParts, 'log'>, BridgeOptions {}

export function gatewayBridge(options: GatewayBridgeOptions): Bridge {
  const guard = oneGuard(options.guard);
  const source = new GuardSource(guard, options.log);
  const nowhere = { toClient: () => {}, toServer: () => {}, dropped: () => {} };
  // Starts nothing: all it ever gets is what cannot be read.
  const refusing = new GatewayPeer({ ...options, guard }, { owner: '', own: nowhere, laneFor: () => undefined });
  return new Bridge(
    {
      open: (client) => new GatewayPeer({ ...options, guard }, client),
      stateless: (exchange, _line, message) => {
        if (message.kind !== 'request') return answerAccepted(exchange);
        const data = { supported: SESSION_VERSIONS, requested: message.version };
        const error = {
          code: UNSUPPORTED_VERSION,
          message: 'several servers behind one address are served in sessions (protocol up to 2025-11-25): begin one with initialize',
          data,
        };
        answerJson(exchange, 400, Buffer.from(`{"jsonrpc":"2.0","id":${message.idJson},"error":${JSON.stringify(error)}}`));
      },
      unreadable: (exchange, line) => {
        const nothing = (): void => {};
        refusing.fromClient(
          line,
          new PostLane({ exchange, isRequest: true, toServer: nothing, onOver: nothing, onGone: nothing }),
          undefined,
        );
      },
      invalid: (exchange, message, code, problem) => {
        if (message.method === 'tools/call') void source.recordInvalid({ name: UNREADABLE_TOOL }, problem);
        answerJson(exchange, 400, trimmed(errorAnswer(message.idJson, code, problem)));
      },
      close: async () => {},
      kill: () => {},
    },
    { ...options, maxSessions: options.maxSessions ?? mostSessions(options.servers) },
  );
}

export function mostSessions(servers: readonly GatewayTarget[]): number {
  return Math.max(1, Math.min(MAX_BRIDGE_SESSIONS, Math.floor(MAX_GATEWAY_SERVERS / Math.max(1, servers.length))));
}
