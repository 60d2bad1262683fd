import dgram from 'node:dgram';
import dns from 'node:dns';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { install, thrown, verdictOf } from './installed.ts';

const WORD = 'canary.example';
const REFUSED = { code: 'ACTIVITY_REFUSED', details: { rule: 'canary' } };

/** A server of this host, and how many connections and requests it saw. */
let server: http.Server;
let port: number;
let connections: number;
let requests: number;

beforeEach(async () => {
  connections = 0;
  requests = 0;
  server = http.createServer((_request, response) => {
    requests++;
    response.end('hello');
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  const made = server;
  return () => {
    made.closeAllConnections();
    made.close();
  };
});

const event = (emitter: NodeJS.EventEmitter): Promise<unknown> => new Promise((resolve) => emitter.on('error', resolve));

const ERRORS: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['net.connect', () => event(net.connect(80, WORD))],
  ['net.connect with options', () => event(net.connect({ host: WORD, port: 80 }))],
  ['net.createConnection', () => event(net.createConnection(80, WORD))],
  ['socket.connect', () => event(new net.Socket().connect(80, WORD))],
  ['a unix socket', () => event(net.connect(join(tmpdir(), WORD)))],
  ['tls.connect', () => event(tls.connect(443, WORD))],
  ['http.get', () => event(http.get(`http://${WORD}/`))],
  ['http.request', () => event(http.request({ host: WORD }).end())],
  ['https.get', () => event(https.get(`https://${WORD}/`))],
  ['http without an agent', () => event(http.get({ host: WORD, agent: false }))],
  ['http with its own connection', () => event(http.get({ host: WORD, createConnection: () => net.connect(80, WORD) }))],
  ['http over a unix socket', () => event(http.get({ socketPath: join(tmpdir(), WORD) }))],
  ['http2.connect', () => event(http2.connect(`http://${WORD}`))],
  ['upper case and a final dot', () => event(net.connect(80, `${WORD.toUpperCase()}.`))],
  ['fetch', () => fetch(`http://${WORD}/`).catch((error: unknown) => error)],
  ['fetch of a URL', () => fetch(new URL(`https://${WORD}/`)).catch((error: unknown) => error)],
  ['fetch of a Request', () => fetch(new Request(`http://${WORD}/`)).catch((error: unknown) => error)],
  ['fetch of a Request that says otherwise', () => fetch(new Lying(`http://${WORD}/`)).catch((error: unknown) => error)],
  ['dns.lookup', () => new Promise((resolve) => dns.lookup(WORD, resolve))],
  ['dns.resolve', () => new Promise((resolve) => dns.resolve(WORD, resolve))],
  ['dns.resolveTxt', () => new Promise((resolve) => dns.resolveTxt(WORD, resolve))],
  ['dns.Resolver', () => new Promise((resolve) => new dns.Resolver().resolve4(WORD, resolve))],
  ['dns.promises.lookup', () => dns.promises.lookup(WORD).catch((error: unknown) => error)],
  ['dns.promises.resolveMx', () => dns.promises.resolveMx(WORD).catch((error: unknown) => error)],
  ['dns.promises.Resolver', () => new dns.promises.Resolver().resolve(WORD).catch((error: unknown) => error)],
  ['udp with a callback', () => new Promise((resolve) => udp().send('x', 53, WORD, resolve))],
  ['udp with a part of the bytes', () => new Promise((resolve) => udp().send('xyz', 0, 2, 53, WORD, resolve))],
  [
    'udp without a callback',
    () => {
      const socket = udp();
      const failed = event(socket);
      socket.send('x', 53, WORD);
      return failed;
    },
  ],
  ['udp connected', () => new Promise((resolve) => udp().connect(53, WORD, resolve as () => void))],
];

class Lying extends Request {
  constructor(url: string) {
    super(url);
    Object.defineProperty(this, 'url', { get: () => 'http://localhost/' });
  }
}

function udp(): dgram.Socket {
  const socket = dgram.createSocket('udp4');
  onTestFinished(() => void socket.close());
  return socket;
}

describe('refuses before anything is sent', () => {
  it.each(ERRORS)('%s', async (_name, act) => {
    const { seen } = install(WORD);
    expect(await act()).toMatchObject(REFUSED);
    expect(seen.length).toBeGreaterThanOrEqual(1);
  });

  it('fetch rejects and does not throw, and a WebSocket fails', async () => {
    install(WORD);
    const promise = fetch(`http://${WORD}/`);
    await expect(promise).rejects.toMatchObject(REFUSED);
    const socket = new WebSocket(`ws://${WORD}/`);
    await new Promise((resolve) => socket.addEventListener('error', resolve));
    expect(socket.readyState).toBe(WebSocket.CLOSED);
  });

  it('a request that would go out on a connection that is there already', async () => {
    const agent = new http.Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const get = (): Promise<unknown> =>
      new Promise((resolve) => {
        http
          .get({ host: '127.0.0.1', port, agent }, (response) => response.resume().on('end', () => resolve('answered')))
          .on('error', resolve);
      });
    expect(await get()).toBe('answered');
    const { seen } = install('127.0.0.1');
    expect(await get()).toMatchObject(REFUSED);
    expect([connections, requests, seen.length]).toStrictEqual([1, 1, 1]);
  });

  it('a fetch that is led elsewhere', async () => {
    server.removeAllListeners('request');
    server.on('request', (_request, response) => void response.writeHead(302, { location: `http://${WORD}/` }).end());
    install(WORD);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ cause: REFUSED });
  });
});

describe('where a name leads', () => {
  const refuseAddress = (address: string) =>
    install('none', { judge: ({ action }) => verdictOf(JSON.stringify(action).includes(address) ? 'HALT' : 'SAFE', 'canary') });

  it.each([
    ['the metadata of a cloud', '169.254.169.254'],
    ['this host', '127.0.0.1'],
    ['a private network', '10.1.2.3'],
    ['an address in other clothes', '::ffff:169.254.169.254'],
  ])('to %s is judged again', async (_name, address) => {
    refuseAddress(address);
    const family = net.isIP(address);
    const lookup = ((_host: string, options: { all?: boolean }, done: (error: null, found: unknown, family?: number) => void) =>
      options.all === true ? done(null, [{ address, family }]) : done(null, address, family)) as unknown as net.LookupFunction;
    expect(await event(net.connect({ host: 'public.test', port, lookup }))).toMatchObject(REFUSED);
    expect(await event(net.connect({ host: 'public.test', port, lookup, autoSelectFamily: false }))).toMatchObject(REFUSED);
    expect(connections).toBe(0);
  });

  it('an address that is written as a number', async () => {
    refuseAddress('127.0.0.1');
    expect(await event(net.connect(port, '2130706433'))).toMatchObject(REFUSED);
    expect(connections).toBe(0);
  });
});

describe('what is judged is what is passed on', () => {
  it('options that change after they were read', async () => {
    const { seen } = install(WORD);
    let asked = 0;
    const options = {
      port,
      get host() {
        return asked++ === 0 ? '127.0.0.1' : WORD;
      },
    };
    const socket = new net.Socket().connect(options);
    await new Promise((resolve) => socket.on('connect', resolve).on('error', resolve));
    expect([asked, connections]).toStrictEqual([1, 1]);
    socket.destroy();
    expect(seen).toHaveLength(0);
  });

  it('what becomes text each time it is asked', async () => {
    install(WORD);
    let asked = 0;
    const input = { toString: () => (asked++ === 0 ? `http://127.0.0.1:${port}/` : `http://${WORD}/`) };
    expect(await (await fetch(input as unknown as string)).text()).toBe('hello');
    expect(asked).toBe(1);
  });

  it('leaves to Node what it rejects', async () => {
    install(WORD);
    expect(thrown(() => net.connect({ host: {} as string, port: 1 }))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    await expect(fetch('not a url')).rejects.toBeInstanceOf(TypeError);
    expect(thrown(() => dns.lookup({} as string, () => {}))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('told once', () => {
  it.each([
    ['http', () => new Promise((resolve) => http.get(`http://127.0.0.1:${port}/`, (response) => response.resume().on('end', resolve)))],
    ['fetch', async () => (await fetch(`http://127.0.0.1:${port}/`)).text()],
    [
      'net',
      () =>
        new Promise<void>((resolve) =>
          net.connect(port, '127.0.0.1', function (this: net.Socket) {
            this.destroy();
            resolve();
          }),
        ),
    ],
  ])('%s', async (_name, act) => {
    const { seen } = install(`"port":${port}`, { level: 'SAFE' });
    await act();
    expect(seen.map(({ activity }) => activity.action)).toStrictEqual([{ kind: 'connect', protocol: 'tcp', address: '127.0.0.1', port }]);
  });
});
