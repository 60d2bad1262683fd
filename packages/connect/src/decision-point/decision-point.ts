/**
 * The decision point that we are: a guard for programs in any language, over HTTP.
 *
 *     POST /access/v1/evaluation, /access/v1/evaluations      advice (AuthZEN 1.0): evaluation.ts
 *     POST /countersign/v1/permits                            the decision, recorded before it is answered: permits.ts
 *     POST /countersign/v1/permits/{call}/outcome             what became of it: outcome.ts
 *     GET  /countersign/v1/permits                            permits of this client that have no outcome yet
 *     GET  /.well-known/authzen-configuration                 where the first two are
 *
 * Whoever asks is known by a token or by the socket, and is one agent: it can speak for no other, and reach into no session or
 * permit of another. What goes wrong is a JSON error with a code, and nothing may run on the strength of one.
 */
import type { Guard, Store } from '@countersign/core';
import { jsonResponse } from '../http/inbound.ts';
import { Refusals } from '../http/refusals.ts';
import type { Handler } from '../http/serve.ts';
import { type Client, type ClientOptions, Clients } from './clients.ts';
import { refuse, type ServeCode } from './codes.ts';
import { evaluation, evaluations } from './evaluation.ts';
import { gateRefusal } from './gate.ts';
import { type OpenPermit, OpenPermits } from './open-permits.ts';
import { outcome } from './outcome.ts';
import { type PermitDeps, permits } from './permits.ts';

/** Of permits each is told once. */
export type DecisionPointEvent =
  /** A permit has had no outcome for longer than `overdueMs`. It can still be settled. */
  | { readonly kind: 'overdue'; readonly permit: OpenPermit }
  /** It had none when the decision point was closed: its decision stands open in the ledger for good. */
  | { readonly kind: 'left-open'; readonly permit: OpenPermit }
  /** Somebody asked who may not: `count` requests since it was last told, at most once a minute but for the first. */
  | { readonly kind: 'refused'; readonly code: StrangerCode; readonly count: number };

/** A request of nobody who is known here. */
export type StrangerCode = Extract<ServeCode, 'HOST_REFUSED' | 'BROWSER_REFUSED' | 'UNAUTHENTICATED'>;

export interface DecisionPointOptions {
  /** Makes the guard of an agent, when that agent first asks. Closed with the decision point. Must not approve by itself. */
  readonly guardOf: (agent: string) => Guard;
  /** Of those guards. */
  readonly store: Pick<Store, 'approvalSettled' | 'nowMs'>;
  readonly clients: readonly ClientOptions[];
  /** How long a permit may be without an outcome before it is told, milliseconds; default 10 minutes. */
  readonly overdueMs?: number;
  /** Must not throw. */
  readonly onEvent?: (event: DecisionPointEvent) => void;
  /** Told of what failed inside. Must not throw. */
  readonly onError?: (error: unknown) => void;
}

/** Where requests come in. */
export interface Listener {
  /** Its own address, once it listens: `http://127.0.0.1:4690`. */
  readonly url: () => string;
  /** Who asks here without a token. Only where the system lets nobody else in: on a private unix socket. */
  readonly owner?: string;
}

export interface DecisionPoint {
  handler(listener: Listener): Handler;
  /** Why a request is refused whatever its body says: so that no large one is kept for who may not ask. */
  objectionTo(listener: Listener): (head: Request) => Response | undefined;
  /** Permits that have no outcome yet, of all clients. */
  open(): readonly OpenPermit[];
  /** Refuses what still comes, tells what is left open, and closes the guards. Close the listeners before, and the store after. */
  close(): Promise<void>;
}

export const DEFAULT_OVERDUE_MS = 600_000;
const CHECK_MS = 15_000;
const CALL_PATH = /^\/countersign\/v1\/permits\/([A-Za-z0-9_-]{1,64})\/outcome$/;
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** @throws {CountersignError} `OPTIONS_INVALID` for tokens that are malformed or shared. */
export function decisionPoint(options: DecisionPointOptions): DecisionPoint {
  const { store, onEvent = () => {}, onError = () => {}, overdueMs = DEFAULT_OVERDUE_MS } = options;
  const clients = new Clients(options.clients);
  const guards = new Map<string, Guard>();
  const open = new OpenPermits();
  const strangers = new Refusals<StrangerCode>((code, count) => onEvent({ kind: 'refused', code, count }));
  const known = { clients, strangers };
  const inside: Inside = { open, store, waiting: new Map(), guardOf: (agent) => guardFor(agent, guards, options.guardOf) };
  let isClosing = false;

  const tellOverdue = (): void => {
    for (const permit of open.overdue(store.nowMs() - overdueMs)) onEvent({ kind: 'overdue', permit });
  };
  const timer = setInterval(tellOverdue, Math.min(CHECK_MS, overdueMs)).unref();

  return {
    handler: (listener) => async (request) => {
      try {
        const answer = isClosing ? refuse('SHUTTING_DOWN') : await answerTo(request, listener, known, inside);
        return withRequestId(request, answer);
      } catch (error) {
        onError(error);
        return withRequestId(request, refuse('INTERNAL_ERROR'));
      }
    },
    objectionTo: (listener) => (head) => {
      const admitted = admission(head, listener, known);
      return admitted instanceof Response ? withRequestId(head, admitted) : undefined;
    },
    open: () => open.list(),
    async close() {
      if (isClosing) return;
      isClosing = true;
      clearInterval(timer);
      strangers.close();
      for (const permit of open.list()) onEvent({ kind: 'left-open', permit });
      for (const guard of guards.values()) await guard.close();
    },
  };
}

interface Known {
  readonly clients: Clients;
  readonly strangers: Refusals<StrangerCode>;
}

interface Inside extends PermitDeps {
  readonly guardOf: (agent: string) => Guard;
}

function guardFor(agent: string, guards: Map<string, Guard>, make: (agent: string) => Guard): Guard {
  const known = guards.get(agent);
  if (known !== undefined) return known;
  const guard = make(agent);
  guards.set(agent, guard);
  return guard;
}

async function answerTo(request: Request, listener: Listener, known: Known, inside: Inside): Promise<Response> {
  const admitted = admission(request, listener, known);
  if (admitted instanceof Response) return admitted;
  const { pathname, client } = admitted;
  switch (pathname) {
    case '/access/v1/evaluation':
      return evaluation(request, client, inside.guardOf(client.agent));
    case '/access/v1/evaluations':
      return evaluations(request, client, inside.guardOf(client.agent));
    case '/countersign/v1/permits':
      if (request.method === 'GET') return openOf(client, inside.open);
      return permits(request, client, inside.guardOf(client.agent), inside);
  }
  const call = CALL_PATH.exec(pathname)?.[1];
  return call === undefined ? refuse('NOT_FOUND') : outcome(request, call, client, inside.open);
}

/** Who asks, and for what, by the headers alone; the metadata of the decision point is for everybody. */
function admission(
  request: Request,
  listener: Listener,
  { clients, strangers }: Known,
): { readonly pathname: string; readonly client: Client } | Response {
  const stranger = (code: StrangerCode, headers?: Readonly<Record<string, string>>): Response => {
    strangers.add(code);
    return refuse(code, undefined, headers);
  };
  const refused = gateRefusal(request, hostsOf(listener));
  if (refused !== undefined) return stranger(refused);
  const { pathname, search } = new URL(request.url);
  if (search !== '') return refuse('NOT_FOUND');
  if (pathname === '/.well-known/authzen-configuration') return metadata(request, listener);
  const client = clientOf(request, listener, clients);
  // Also for paths there are not: who has no token learns nothing.
  return client === undefined ? stranger('UNAUTHENTICATED', { 'www-authenticate': 'Bearer' }) : { pathname, client };
}

/** A token that is wrong is not made up for by the socket. */
function clientOf({ headers }: Request, { owner }: Listener, clients: Clients): Client | undefined {
  const authorization = headers.get('authorization');
  if (authorization !== null) return clients.find(authorization);
  return owner === undefined ? undefined : { agent: owner };
}

/** A name for this host is one for this listener; a name somebody else resolves to it is not. */
function hostsOf({ url }: Listener): ReadonlySet<string> {
  const { host, port } = new URL(url());
  return new Set([host, port === '' ? 'localhost' : `localhost:${port}`]);
}

/** Section 9 wants https: on this host alone there is none, and whoever puts a proxy before it publishes metadata of its own. */
function metadata(request: Request, { url }: Listener): Response {
  if (request.method !== 'GET') return refuse('METHOD_NOT_ALLOWED', 'only GET is taken here', { allow: 'GET' });
  const at = url();
  return jsonResponse(200, {
    policy_decision_point: at,
    access_evaluation_endpoint: `${at}/access/v1/evaluation`,
    access_evaluations_endpoint: `${at}/access/v1/evaluations`,
  });
}

function openOf({ agent }: Client, open: OpenPermits): Response {
  const permits = open.list(agent).map(({ call, sinceMs }) => ({ call, since: new Date(sinceMs).toISOString() }));
  return jsonResponse(200, { open: permits });
}

/** Section 10.1.3: who sends an id gets it back. */
function withRequestId({ headers }: Request, answer: Response): Response {
  const id = headers.get('x-request-id');
  if (id !== null && REQUEST_ID.test(id)) answer.headers.set('x-request-id', id);
  return answer;
}
