/**
 * A C2SP witness on 127.0.0.1, written from the specification alone (tlog-witness, tlog-cosignature, RFC 9162 section
 * 2.1.4.2): it shares no code with the client. Tests replace single answers of it to make it hostile.
 */
import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const node = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.of(1), left, right);

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type Answer = (response: ServerResponse, request: IncomingMessage, body: string) => void;

export interface TestWitness {
  readonly url: string;
  readonly vkey: string;
  readonly seen: Seen[];
  /** Logs it knows: origin, raw public key. */
  readonly logs: Map<string, Uint8Array>;
  /** What it stands at, by origin. */
  readonly heads: Map<string, { size: number; root: string }>;
  /** In place of honest answers, in this order. */
  readonly instead: Answer[];
  /** A line as it should be, for a checkpoint of the test's own. */
  cosign(text: string, atSec?: number): string;
  nowSec: () => number;
}

export function witnessKey(name: string): { readonly vkey: string; readonly cosign: (text: string, atSec: number) => string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const typed = Buffer.concat([Buffer.of(4), Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')]);
  const id = sha256(`${name}\n`, typed).subarray(0, 4);
  return {
    vkey: `${name}+${id.toString('hex')}+${typed.toString('base64')}`,
    cosign: (text, atSec) => {
      const time = Buffer.alloc(8);
      time.writeBigUInt64BE(BigInt(atSec));
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${atSec}\n${text}`), privateKey);
      return `— ${name} ${Buffer.concat([id, time, signature]).toString('base64')}\n`;
    },
  };
}

export async function testWitness(name = 'witness.example/w1', vkeys: readonly string[] = []): Promise<TestWitness> {
  const key = witnessKey(name);
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (text: string) => (body += text));
    request.on('end', () => {
      witness.seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      (witness.instead.shift() ?? honest(witness))(response, request, body);
    });
  });
  const url = `http://127.0.0.1:${await listen(server)}/prefix`;
  const nowSec = (): number => Math.floor(Date.now() / 1000);
  const cosign = (text: string, atSec = witness.nowSec()): string => key.cosign(text, atSec);
  const witness: TestWitness = { url, vkey: key.vkey, seen: [], logs: new Map(), heads: new Map(), instead: [], cosign, nowSec };
  for (const vkey of vkeys) knows(witness, vkey);
  return witness;
}

/** The witness is configured with a log. */
export function knows(witness: TestWitness, vkey: string): void {
  // The key itself may hold a plus.
  const [origin = '', , ...material] = vkey.split('+');
  witness.logs.set(origin, Buffer.from(material.join('+'), 'base64').subarray(1));
}

function honest(witness: TestWitness): Answer {
  return (response, request, body) => {
    const [status, text, type] = judge(witness, request, body);
    response.writeHead(status, type === undefined ? {} : { 'content-type': type }).end(text);
  };
}

function judge(witness: TestWitness, { method, url }: IncomingMessage, body: string): [number, string, string?] {
  if (method !== 'POST' || url !== '/prefix/add-checkpoint') return [405, ''];
  const [head = '', ...notes] = body.split('\n\n');
  const [oldLine = '', ...proofLines] = head.split('\n');
  const old = /^old (0|[1-9][0-9]*)$/.exec(oldLine)?.[1];
  const [text, signatures = ''] = [`${notes[0]}\n`, notes[1]];
  const [origin = '', sizeText = '', root = ''] = text.split('\n');
  if (old === undefined || notes.length !== 2 || !signatures.endsWith('\n') || proofLines.length > 63) return [400, 'form'];
  const key = witness.logs.get(origin);
  if (key === undefined) return [404, ''];
  if (!signatures.split('\n').some((line) => isSigned(origin, key, text, line))) return [403, ''];
  const size = Number(sizeText);
  if (Number(old) > size) return [400, 'old'];
  const known = witness.heads.get(origin) ?? { size: 0, root: '' };
  if (Number(old) !== known.size) return [409, `${known.size}\n`, 'text/x.tlog.size'];
  if (known.size === size && known.root !== root) return [409, ''];
  const proof = proofLines.map((line) => Buffer.from(line, 'base64'));
  if (!isConsistent(known, { size, root }, proof)) return [422, ''];
  witness.heads.set(origin, { size, root });
  return [200, witness.cosign(text)];
}

function isSigned(origin: string, key: Uint8Array, text: string, line: string): boolean {
  const [, name, encoded = ''] = line.split(' ');
  const bytes = Buffer.from(encoded, 'base64');
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key]);
  if (name !== origin || bytes.length !== 68) return false;
  return verify(null, Buffer.from(text), { key: spki, format: 'der', type: 'spki' }, bytes.subarray(4));
}

interface Head {
  readonly size: number;
  readonly root: string;
}

/** RFC 9162, section 2.1.4.2. */
function isConsistent(first: Head, second: Head, given: readonly Buffer[]): boolean {
  if (first.size === 0 || first.size === second.size) return given.length === 0;
  const path = Number.isInteger(Math.log2(first.size)) ? [Buffer.from(first.root, 'base64'), ...given] : [...given];
  let [fn, sn] = [first.size - 1, second.size - 1];
  while (fn % 2 === 1) [fn, sn] = [(fn - 1) / 2, Math.floor(sn / 2)];
  const start = path.shift();
  if (start === undefined) return false;
  let [fr, sr] = [start, start];
  for (const c of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      [fr, sr] = [node(c, fr), node(c, sr)];
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else {
      sr = node(sr, c);
    }
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && fr.toString('base64') === first.root && sr.toString('base64') === second.root;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
