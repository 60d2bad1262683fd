/**
 * Open files as `lsof -F` tells them: fields that begin with a letter and end with NUL, sets of them that end with a newline.
 *
 *     p501\0\n
 *     f3\0ar\0tREG\0o0t4096\0i8675309\0n/Users/me/notes.txt\0\n
 *     f5\0au\0tIPv4\0o0t0\0PTCP\0n192.168.1.4:50312->93.184.216.34:443\0TST=ESTABLISHED\0\n
 */
import type { ConnectAction } from '../activity.ts';
import type { Descriptor, DescriptorState } from '../tree/descriptor.ts';

export interface LsofFiles {
  readonly cwd?: string;
  readonly descriptors: readonly Descriptor[];
  readonly states: ReadonlyMap<number, DescriptorState>;
  readonly sockets: readonly LsofSocket[];
}

export interface LsofSocket {
  readonly fd: number;
  readonly localPort: number;
  /** Absent: to nobody. */
  readonly remote?: ConnectAction;
}

export function lsofArguments(pids: readonly number[]): readonly string[] {
  return ['-n', '-P', '-w', '-F', 'pftanoiPT0', '-p', pids.join(',')];
}

/** Files read of one call. */
export const MAX_LSOF_FILES = 65_536;

/** Sets that make no sense are left out. */
export function parseLsof(text: string): ReadonlyMap<number, LsofFiles> {
  const found = new Map<number, Building>();
  let current: Building | undefined;
  // A newline alone may be part of a name; after NUL it is the end of a set.
  for (const set of text.split('\0\n', MAX_LSOF_FILES)) {
    const fields = new Map(set.split('\0').map((field) => [field.charAt(0), field.slice(1)]));
    const pid = /^\d{1,10}$/.exec(fields.get('p') ?? '')?.[0];
    if (pid !== undefined) {
      current = found.get(Number(pid)) ?? { descriptors: [], states: new Map(), sockets: [] };
      found.set(Number(pid), current);
    }
    if (current !== undefined && fields.has('f')) addFile(current, fields);
  }
  return found;
}

interface Building {
  cwd?: string;
  readonly descriptors: Descriptor[];
  readonly states: Map<number, DescriptorState>;
  readonly sockets: LsofSocket[];
}

function addFile(into: Building, fields: ReadonlyMap<string, string>): void {
  const [file = '', name = '', type = ''] = ['f', 'n', 't'].map((field) => fields.get(field));
  if (file === 'cwd') into.cwd = unescape(name);
  // Programs, libraries and folders by name hold no descriptor.
  if (!/^\d{1,10}$/.test(file)) return;
  const fd = Number(file);
  if (type === 'IPv4' || type === 'IPv6') {
    const socket = parseSocket(fd, name, fields.get('P') ?? '');
    if (socket !== undefined) into.sockets.push(socket);
    return;
  }
  if (!name.startsWith('/') || (type !== 'REG' && type !== 'VREG' && type !== 'DIR' && type !== 'CHR' && type !== 'BLK')) return;
  const access = fields.get('a') ?? '';
  const inode = Number(fields.get('i'));
  into.descriptors.push({ fd, target: unescape(name) });
  into.states.set(fd, {
    read: access === 'r' || access === 'u',
    write: access === 'w' || access === 'u',
    nameOnly: type === 'DIR',
    position: positionOf(fields.get('o') ?? ''),
    ...(Number.isSafeInteger(inode) && { inode }),
  });
}

/** `0t4096` is decimal, `0x1000` hexadecimal. */
function positionOf(text: string): number {
  const position = Number(text.replace(/^0t/, ''));
  return Number.isFinite(position) && position >= 0 ? position : 0;
}

function parseSocket(fd: number, name: string, protocol: string): LsofSocket | undefined {
  const [, localPort, , remote, remotePort] = /^[^\s>]*:(\d{1,5}|\*)(->(\S+):(\d{1,5}))?$/.exec(name) ?? [];
  if (localPort === undefined || (protocol !== 'TCP' && protocol !== 'UDP')) return undefined;
  const address = remote?.replace(/^\[(.*)\]$/, '$1');
  return {
    fd,
    localPort: localPort === '*' ? 0 : Number(localPort),
    ...(address !== undefined && {
      remote: { kind: 'connect', protocol: protocol === 'TCP' ? 'tcp' : 'udp', address, port: Number(remotePort) },
    }),
  };
}

/** Backslashes and what cannot be printed come escaped. Control characters as `^[` are left so: a name may hold that, too. */
function unescape(name: string): string {
  return name.replace(/\\(x[0-9a-f]{2}|[\\nrtbf])/g, (_, code: string) =>
    code.startsWith('x') ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (ESCAPES.get(code) ?? code),
  );
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['f', '\f'],
]);
