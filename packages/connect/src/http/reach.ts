/** Whether somebody listens where a URL leads. Nothing is sent: a connection, with https a TLS handshake too, is closed again. */
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { failureWords, requireVerifiedTls, Unusable } from './post.ts';

export const REACH_TIMEOUT_MS = 3_000;
const PORTS: ReadonlyMap<string, number> = new Map([
  ['https:', 443],
  ['http:', 80],
]);

/** @returns why not, in our own words, which repeat nothing of the URL or of who answered; undefined when there is somebody. */
export async function unreached(url: URL, allowInsecure: boolean, timeoutMs: number = REACH_TIMEOUT_MS): Promise<string | undefined> {
  try {
    requireVerifiedTls(url, allowInsecure);
    await connected(url, timeoutMs);
    return undefined;
  } catch (error) {
    return error instanceof Unusable ? error.message : failureWords(error);
  }
}

function connected({ protocol, hostname, port }: URL, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // Brackets are of URLs, not of addresses.
    const host = hostname.replace(/^\[|\]$/g, '');
    const to = { host, port: port === '' ? (PORTS.get(protocol) ?? 0) : Number(port) };
    const isTls = protocol === 'https:';
    const socket = isTls ? connectTls({ ...to, servername: isName(host) ? host : '' }) : connect(to);
    const late = setTimeout(() => socket.destroy(new Unusable(`did not answer within ${timeoutMs} ms`)), timeoutMs);
    socket.once(isTls ? 'secureConnect' : 'connect', () => socket.destroy());
    // Whoever closes at once was there, and spoke no TLS.
    socket.once('error', reject);
    socket.once('close', (hadError) => {
      clearTimeout(late);
      if (!hadError) resolve();
    });
  });
}

/** No server name is sent for an address. */
function isName(host: string): boolean {
  return !/^[0-9.]+$/.test(host) && !host.includes(':');
}
