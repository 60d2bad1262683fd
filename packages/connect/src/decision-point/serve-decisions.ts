/** A decision point on a unix socket, a port of this host, or both. */
import { CountersignError } from '@countersign/core';
import { type Served, serve } from '../http/serve.ts';
import { requireAgentName } from './clients.ts';
import { type DecisionPointOptions, decisionPoint } from './decision-point.ts';
import { MAX_BODY_BYTES } from './json-body.ts';
import type { OpenPermit } from './open-permits.ts';
import { MAX_WAIT_MS } from './permits.ts';

export interface ServedDecisionsOptions extends DecisionPointOptions {
  /** Absolute path of a unix socket. Its folder must be closed to others, or not be there. */
  readonly socket?: { readonly path: string /** The agent that asks there without a token. */; readonly owner: string };
  /** Of 127.0.0.1; 0 takes any free one. */
  readonly port?: number;
  /** Of each listener; default 1024. Further connections are dropped. */
  readonly maxConnections?: number;
  /** From the first byte of a request to its last; default 10 s. */
  readonly requestTimeoutMs?: number;
}

export interface ServedDecisions {
  /** Of the port, when there is one: `http://127.0.0.1:4690`. */
  readonly url?: string;
  /** The path of the socket, when there is one. */
  readonly socket?: string;
  open(): readonly OpenPermit[];
  /** Takes no more requests, tells what is left open, closes the guards. The store is the caller's. */
  close(): Promise<void>;
}

const DEFAULT_CONNECTIONS = 1_024;
/** A wait for a person, and what is decided before and after it. */
const DURATION_MS = MAX_WAIT_MS + 30_000;

/** @throws {CountersignError} `OPTIONS_INVALID`; the system's own error when a port or socket cannot be had. */
export async function serveDecisions(options: ServedDecisionsOptions): Promise<ServedDecisions> {
  const { socket, port, maxConnections = DEFAULT_CONNECTIONS, requestTimeoutMs, onError } = options;
  if (socket === undefined && port === undefined) throw new CountersignError('OPTIONS_INVALID', 'a socket or a port is needed');
  if (port !== undefined && options.clients.length === 0)
    throw new CountersignError(
      'OPTIONS_INVALID',
      'a port needs clients with tokens (serve.clients in the configuration): who asks there is known by nothing else',
    );
  if (socket !== undefined) requireAgentName(socket.owner);
  const point = decisionPoint(options);
  const limits = {
    // What is a little too long is still read, so that it is refused with a code.
    maxBodyBytes: 2 * MAX_BODY_BYTES,
    maxConnections,
    durationMs: DURATION_MS,
    ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
    ...(onError !== undefined && { onError }),
  };
  const served: Served[] = [];
  const listen = async (where: { readonly socket: string } | { readonly port: number }, owner?: string): Promise<Served> => {
    let url = '';
    const listener = { url: () => url, ...(owner !== undefined && { owner }) };
    const listening = await serve({
      ...limits,
      ...where,
      handler: point.handler(listener),
      objectionTo: point.objectionTo(listener),
    });
    url = listening.url;
    served.push(listening);
    return listening;
  };
  const close = async (): Promise<void> => {
    await Promise.all(served.map((each) => each.close()));
    await point.close();
  };
  try {
    if (socket !== undefined) await listen({ socket: socket.path }, socket.owner);
    const url = port === undefined ? undefined : (await listen({ port })).url;
    return { ...(url !== undefined && { url }), ...(socket !== undefined && { socket: socket.path }), open: () => point.open(), close };
  } catch (error) {
    await close();
    throw error;
  }
}
