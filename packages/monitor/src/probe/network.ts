/**
 * Connections, requests and datagrams. All that speaks TCP in Node (net, tls, http, https, http2, fetch, WebSocket) connects
 * through `net.Socket.prototype.connect`. Requests are judged as well, because they may go out on a connection that is there already.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import dgram from 'node:dgram';
import dns from 'node:dns';
import http, { type ClientRequest } from 'node:http';
import net from 'node:net';
import nodePath from 'node:path';
import type { ConnectAction } from '../activity.ts';
import { option, takeOptions } from './arguments.ts';
import type { Gate } from './gate.ts';
import { isInternalAddress } from './internal-address.ts';
import type { AnyFunction } from './intrinsics.ts';
import { inside, outside } from './intrinsics.ts';
import { originals } from './originals.ts';
import type { Patches } from './patches.ts';

export function patchNetwork(patches: Patches, gate: Gate): void {
  patches.method(net.Socket.prototype, 'connect', (original) => connect(original, patches, gate));
  patches.method(http.Agent.prototype, 'addRequest', (original) => request(original, patches, gate));
  patches.method(globalThis, 'fetch', (original) => fetching(original, patches, gate));
  patches.method(dgram.Socket.prototype, 'send', (original) => datagram(original, patches, gate));
  patches.method(dgram.Socket.prototype, 'connect', (original) => datagramConnect(original, patches, gate));
}

/** A request that was judged a moment ago opens its connection: the same act, told once. */
interface Judged {
  readonly host: string;
  readonly port: number;
  used: boolean;
}
const judged = new AsyncLocalStorage<Judged>();

const CONNECT_OPTIONS = [
  'port',
  'path',
  'host',
  'lookup',
  'family',
  'hints',
  'localAddress',
  'localPort',
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
  'timeout',
];

type Normalized = unknown[] & Record<symbol, unknown>;
const { _normalizeArgs: normalize } = net as unknown as { _normalizeArgs(this: void, args: unknown[]): Normalized };
const NORMALIZED = Object.getOwnPropertySymbols(normalize([{ port: 1 }]))[0] as symbol;

function connect(original: AnyFunction, patches: Patches, gate: Gate): AnyFunction {
  return function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    const first = args[0] as Normalized;
    const [given, done] = Array.isArray(first) && first[NORMALIZED] ? first : normalize(args);
    const options = takeOptions(given, CONNECT_OPTIONS) as Record<string, unknown>;
    const action = target(options['host'], options['port'], options['path']);
    const pass = Object.assign([options, done], { [NORMALIZED]: true });
    if (action === undefined) return originals.apply(original, this, [pass]);
    const refusal = wasJudged(action) ? undefined : gate.refusal(action);
    if (refusal !== undefined) return (this as net.Socket).destroy(refusal);
    if (action.protocol === 'tcp' && action.address === undefined) options['lookup'] = judgedLookup(options['lookup'], action, gate);
    return originals.apply(original, this, [pass]);
  };
}

function wasJudged({ host, address, port }: ConnectAction): boolean {
  const before = judged.getStore();
  if (before === undefined || before.used || before.host !== (host ?? address) || before.port !== port) return false;
  before.used = true;
  return true;
}

/** A name that may be reached can lead to an address that may not: the host's own services, the cloud's metadata. */
function judgedLookup(given: unknown, action: ConnectAction, gate: Gate): AnyFunction {
  return function (this: unknown, ...args) {
    const done = args.at(-1);
    const lookup = typeof given === 'function' ? given : dns.lookup;
    if (typeof done !== 'function') return originals.apply(lookup, this, args);
    const judging = inside((error: unknown, found: unknown, ...rest: unknown[]): unknown => {
      for (const address of addressesIn(found)) {
        const refusal = isInternalAddress(address) ? gate.refusal({ ...action, address }) : undefined;
        if (refusal !== undefined) return originals.apply(outside(done as AnyFunction), undefined, [refusal]);
      }
      return originals.apply(outside(done as AnyFunction), undefined, [error, found, ...rest]);
    });
    return originals.apply(lookup, this, [...args.slice(0, -1), judging]);
  };
}

export function addressesIn(found: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(found) ? found : [found];
  return list.flatMap((each) => {
    const address = typeof each === 'object' && each !== null ? option(each, 'address') : each;
    return typeof address === 'string' ? [address] : [];
  });
}

/** Undefined for what Node will reject. */
function target(host: unknown, port: unknown, path?: unknown): ConnectAction | undefined {
  if (typeof path === 'string' && path !== '') {
    return { kind: 'connect', protocol: 'unix', address: path.startsWith('\0') ? path : nodePath.resolve(path) };
  }
  const name = host === undefined || host === null || host === '' ? 'localhost' : host;
  const number = Number(port);
  if (typeof name !== 'string' || typeof port === 'object' || !Number.isInteger(number)) return undefined;
  return { kind: 'connect', protocol: 'tcp', ...named(name), port: number };
}

function named(name: string): { readonly host: string } | { readonly address: string } {
  return net.isIP(name) === 0 ? { host: name.toLowerCase().replace(/\.$/, '') } : { address: name };
}

function request(original: AnyFunction, patches: Patches, gate: Gate): AnyFunction {
  return function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    const [made, given, port, localAddress] = args;
    const asked = typeof given === 'string' ? { host: given, port, localAddress } : (given as object);
    const options: Record<string, unknown> = { ...asked, ...(this as { readonly options?: object }).options };
    const action = target(options['host'], options['port'], options['socketPath']);
    if (action === undefined) return originals.apply(original, this, [made, options]);
    const refusal = gate.refusal(action);
    if (refusal !== undefined) return (made as ClientRequest & { onSocket(socket: null, error: Error): void }).onSocket(null, refusal);
    return judged.run({ host: action.host ?? action.address ?? '', port: action.port ?? 0, used: false }, () =>
      originals.apply(original, this, [made, options]),
    );
  };
}

function fetching(original: AnyFunction, patches: Patches, gate: Gate): AnyFunction {
  return async function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    const url = urlOf(args);
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return originals.apply(original, this, args);
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
    const action = target(url.hostname.replace(/^\[|\]$/g, ''), port) as ConnectAction;
    gate.check(action);
    return judged.run({ host: action.host ?? action.address ?? '', port, used: false }, () => originals.apply(original, this, args));
  };
}

/** Whatever is no `Request` is made text by `fetch`: here, once. */
function urlOf(args: unknown[]): URL | null {
  const input = args[0];
  if (typeof input !== 'object' || input === null) return URL.parse(String(input));
  try {
    // Its own reader, not one that a subclass put over it. Throws for what is no `Request` of Node's.
    return URL.parse(Reflect.get(Request.prototype, 'url', input));
  } catch {
    const text = `${input as unknown as string}`;
    args[0] = text;
    return URL.parse(text);
  }
}

function datagram(original: AnyFunction, patches: Patches, gate: Gate): AnyFunction {
  return function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    // send(bytes, [offset, length,] [port] [, address] [, callback]); without a port the socket is connected, which was judged.
    const isSliced = Boolean(args[4]) || (Boolean(args[3]) && typeof args[3] !== 'function');
    const [port, address] = isSliced ? [args[3], args[4]] : [args[1], args[2]];
    const action = isConnected(this) ? undefined : udp(address, port, this);
    const refusal = action === undefined ? undefined : gate.refusal(action);
    if (refusal === undefined) return originals.apply(original, this, args);
    return tell(this, args.at(-1), refusal);
  };
}

function datagramConnect(original: AnyFunction, patches: Patches, gate: Gate): AnyFunction {
  return function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    const action = udp(args[1], args[0], this);
    const refusal = action === undefined ? undefined : gate.refusal(action);
    if (refusal === undefined) return originals.apply(original, this, args);
    return tell(this, args.at(-1), refusal);
  };
}

function isConnected(socket: unknown): boolean {
  try {
    (socket as dgram.Socket).remoteAddress();
    return true;
  } catch {
    return false;
  }
}

function udp(address: unknown, port: unknown, socket: unknown): ConnectAction | undefined {
  const byDefault = option(socket, 'type') === 'udp6' ? '::1' : '127.0.0.1';
  const host = typeof address === 'string' && address !== '' ? address : byDefault;
  const number = Number(port);
  if (typeof port === 'object' || !Number.isInteger(number)) return undefined;
  return { kind: 'connect', protocol: 'udp', ...named(host), port: number };
}

/** As Node does for a name that does not resolve: the callback, and without one the `error` event. */
function tell(socket: unknown, done: unknown, refusal: Error): void {
  if (typeof done === 'function') originals.nextTick(done, refusal);
  else originals.nextTick(() => (socket as dgram.Socket).emit('error', refusal));
}
