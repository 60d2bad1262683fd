/** URLs in texts that are not URLs as a whole: prose, code, commands, JSON in a string, and what these hold encoded. */
import { ConditionFault } from '../../condition-value.ts';
import { addressOf } from '../host/host-text.ts';
import { looseUrlHosts, MAX_URL_CHARS } from '../host/url-text.ts';
import { decodedPieces } from './decode.ts';
import { textsIn } from './leaves.ts';

/** More URLs than this in one call are a fault. */
export const MAX_URLS = 10_000;
/**
 * Stands in `hosts()` for a URL in which no program reads a host (`https://{name}/`) or whose scheme means none (`s3://bucket`). It
 * matches no pattern and is not inside.
 */
export const UNREADABLE_HOST = '?';

/** Schemes whose authority is a host that somebody connects to. */
const NETWORK_SCHEMES: ReadonlySet<string> = new Set(
  (
    'http https ws wss ftp ftps sftp tftp scp ssh git git+ssh git+http git+https svn svn+ssh hg bzr rsync telnet tcp udp tls ssl quic ldap ldaps ' +
    'smb cifs nfs afp webdav dav davs postgres postgresql mysql mysqlx mariadb mongodb mongodb+srv redis rediss valkey memcached amqp amqps mqtt ' +
    'mqtts nats kafka pulsar cassandra clickhouse mssql sqlserver oracle couchdb neo4j bolt etcd consul grpc grpcs thrift gopher dict finger ' +
    'imap imaps pop3 pop3s smtp smtps sip sips rtsp rtsps rtmp rtmps srt stun turn xmpp irc ircs nntp news socks socks4 socks4a socks5 socks5h ' +
    'hdfs webhdfs zookeeper vnc rdp winrm syslog statsd otlp docker oci'
  ).split(' '),
);

const LONGEST_SCHEME = 32;
/** The web's schemes with slashes in any number and direction. */
const WEB_SCHEME = /(?:https?|wss?|ftp)$/i;
const SCHEME = /[a-z][a-z0-9+.-]+$/i;
/** `//host` where a link begins. */
const LINK = /\/\/[\p{L}\p{N}-]{1,63}\.[\p{L}\p{N}]/uy;
const URL_END = /[\s<>"'`]/g;
const AFTER_URL: ReadonlySet<string> = new Set('.,;:!?)]}*_');

/** Every URL in every text of a value, as it stands there, also inside of what is encoded; each once. */
export function urlsIn(value: unknown): readonly string[] {
  const found = new Set<string>();
  for (const text of textsIn(value)) {
    for (const piece of [text, ...decodedPieces(text)]) {
      for (const url of urlsOf(piece)) found.add(url);
      if (found.size > MAX_URLS) throw new ConditionFault(`the texts hold more than ${MAX_URLS} urls`);
    }
  }
  return [...found];
}

/** Every host that some program may read in one of these URLs, and every text that is an address as a whole. */
export function hostsIn(value: unknown): readonly string[] {
  const found = new Set<string>();
  for (const url of urlsIn(value)) {
    const scheme = (/^([^/\\]*):/.exec(url)?.[1] ?? 'https').toLowerCase();
    const hosts = NETWORK_SCHEMES.has(scheme) || scheme === 'file' ? looseUrlHosts(url) : [];
    if (hosts.length === 0 && scheme !== 'file') found.add(UNREADABLE_HOST);
    for (const host of hosts) found.add(host.text);
  }
  for (const text of textsIn(value)) {
    const address = addressOf(text.trim());
    if (address !== undefined) found.add(address.text);
  }
  return [...found];
}

function* urlsOf(text: string): Generator<string> {
  const starts = [...startsOf(text)];
  let end = 0;
  for (const [i, start] of starts.entries()) {
    const next = starts[i + 1] ?? text.length;
    if (start >= end) {
      URL_END.lastIndex = start;
      end = URL_END.exec(text)?.index ?? text.length;
      yield trimmed(text.slice(start, end));
    } else {
      // What follows another one without a space: only as far as the next, so that all of them together stay linear.
      yield trimmed(text.slice(start, Math.min(next, end)));
    }
  }
  // One that is a URL as a whole, for those who drop tabs and line ends in it and take quotes and brackets for a part of it.
  if (text.length > MAX_URL_CHARS) return;
  const whole = text.replaceAll(/[\t\n\r]/g, '').trim();
  if (/^(?:https?|wss?|ftp):[/\\]\S*$/i.test(whole)) yield whole;
}

/** Places where a URL starts, from left to right. */
function* startsOf(text: string): Generator<number> {
  for (let at = text.search(/[:/]/); at >= 0 && at < text.length; at = nextMark(text, at + 1)) {
    const next = text.charAt(at + 1);
    if (text.charAt(at) === ':') {
      if (next !== '/' && next !== '\\') continue;
      const before = text.slice(Math.max(0, at - LONGEST_SCHEME), at);
      const scheme = text.startsWith('//', at + 1) ? (SCHEME.exec(before) ?? WEB_SCHEME.exec(before)) : WEB_SCHEME.exec(before);
      if (scheme !== null) yield at - scheme[0].length;
    } else if (next === '/' && at > 0 && `"'(=`.includes(text.charAt(at - 1))) {
      LINK.lastIndex = at;
      if (LINK.test(text)) yield at;
    }
  }
}

const MARK = /[:/]/g;

function nextMark(text: string, from: number): number {
  MARK.lastIndex = from;
  return MARK.exec(text)?.index ?? -1;
}

/** Without the marks that belong to the sentence around it. */
function trimmed(url: string): string {
  let end = Math.min(url.length, MAX_URL_CHARS);
  while (end > 0 && AFTER_URL.has(url.charAt(end - 1))) end -= 1;
  return url.slice(0, end);
}
