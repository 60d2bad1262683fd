/**
 * Clients over HTTP in front of a server over stdio. A session (protocol up to 2025-11-25) has a process of its own; requests of the
 * stateless protocol (2026-07-28) share one.
 */

import { errorAnswer } from '../answer.ts';
import type { ProxyGuard } from '../guard-source.ts';
import { Interposer, type InterposerOptions } from '../interposer.ts';
import { RPC_ERRORS } from '../message.ts';
import { oneGuard } from '../one-guard.ts';
import { Target, type TargetOptions } from '../target.ts';
import type { StartedServer, UpstreamOptions } from '../upstream.ts';
import type { Line } from '../wire.ts';
import { trimmed } from './body.ts';
import { type Behind, Bridge, type BridgeOptions } from './bridge.ts';
import type { HttpExchange } from './exchange.ts';
import { MessageHeaders } from './message-headers.ts';
import type { Outgoing } from './outgoing.ts';
import { PostLane } from './post-lane.ts';
import { processPeer } from './process-peer.ts';
import { answerAccepted, answerJson } from './refuse.ts';
import { whyRemoved } from './removed-methods.ts';
import type { OpenPeer } from './session-peer.ts';
import { SharedProcess } from './shared-process.ts';

export interface StdioBridgeOptions
  extends UpstreamOptions,
    BridgeOptions,
    Pick<InterposerOptions, 'onInvalid' | 'answerAt' | 'cancelGraceMs'>,
    Pick<TargetOptions, 'mcp' | 'approvals'> {
  /** Opens the guard; called at the first call or list of tools, and again after a failure. */
  readonly guard: () => Promise<ProxyGuard>;
  /** Name of the server in our configuration. */
  readonly server: string;
  readonly stderr: NodeJS.WritableStream;
  /** A process was started. */
  readonly onReady?: (upstream: StartedServer) => void;
}

type Request = Extract<Outgoing, { readonly kind: 'request' }>;

export function stdioBridge(options: StdioBridgeOptions): Bridge {
  return new Bridge(new Processes(options), options);
}

class Processes implements Behind {
  readonly #options: StdioBridgeOptions;
  readonly #guard: () => Promise<ProxyGuard>;
  readonly #headers = new MessageHeaders();
  /** What belongs to no session: requests of the stateless protocol, and what cannot be read. */
  readonly #target: Target;
  readonly #shared: SharedProcess;

  constructor(options: StdioBridgeOptions) {
    this.#options = options;
    this.#guard = oneGuard(options.guard);
    this.#target = this.#newTarget();
    this.#shared = new SharedProcess({ ...options, target: this.#target, headers: this.#headers });
  }

  readonly open: OpenPeer = (client) => processPeer({ ...this.#options, target: this.#newTarget() }, client);

  stateless(exchange: HttpExchange, line: Line, message: Outgoing): void {
    // In this protocol nobody but who asked can have anything to add; it would reach a process that others share.
    if (message.kind !== 'request') return answerAccepted(exchange);
    // To a process that knows sessions too, everybody would be in this one.
    const removed = whyRemoved(message.method);
    if (removed !== undefined) return answerJson(exchange, 404, trimmed(errorAnswer(message.idJson, RPC_ERRORS.METHOD_NOT_FOUND, removed)));
    const problem = this.#contradiction(exchange, message);
    if (problem !== undefined) return this.invalid(exchange, message, RPC_ERRORS.HEADER_MISMATCH, problem);
    this.#shared.post(exchange, line, message);
  }

  invalid(exchange: HttpExchange, message: Request, code: number, problem: string): void {
    if (message.method === 'tools/call')
      void this.#target.guard.recordInvalid(this.#target.tools.ref(this.#options.server, '(unreadable)'), problem);
    answerJson(exchange, 400, trimmed(errorAnswer(message.idJson, code, problem)));
  }

  /** Headers say what the message says, or whatever stands before us and reads only them was deceived. */
  #contradiction({ request }: HttpExchange, message: Request): string | undefined {
    const header = this.#headers.contradiction(message, (name) => {
      const value = request.headers[name];
      return typeof value === 'string' ? value : undefined;
    });
    return header === undefined ? undefined : `the header ${header} and the message disagree`;
  }

  unreadable(exchange: HttpExchange, line: Line): void {
    const lane = new PostLane({ exchange, isRequest: true, toServer: () => lane.dropped(), onOver: () => {}, onGone: () => {} });
    const { onInvalid } = this.#options;
    new Interposer({ target: this.#target, lane, ...(onInvalid !== undefined && { onInvalid }) }).fromClient(line);
  }

  async close(): Promise<void> {
    await this.#shared.close();
  }

  kill(): void {
    this.#shared.kill();
  }

  #newTarget(): Target {
    const { server, log, mcp, approvals } = this.#options;
    return new Target({
      guard: this.#guard,
      server,
      log,
      ...(mcp !== undefined && { mcp }),
      ...(approvals !== undefined && { approvals }),
    });
  }
}
