/**
 * What the kernel's process connector sends: netlink messages (`struct nlmsghdr`, 16 bytes) that hold a connector message
 * (`struct cn_msg`, 20 bytes) that holds a `struct proc_event`: what, cpu, timestamp (4, 4, 8 bytes), then the event's own fields.
 * All numbers are in the byte order of the host, which is little-endian on every architecture the bindings know.
 *
 * @see linux/netlink.h, linux/connector.h, linux/cn_proc.h
 */

export type ProcEvent =
  /** The kernel's answer to `listenMessage`: 0, or an errno. */
  | { readonly kind: 'answer'; readonly error: number }
  /** Of a process, not of a thread. `atNs`: nanoseconds of the monotonic clock. */
  | { readonly kind: 'fork'; readonly parent: number; readonly child: number; readonly atNs: bigint }
  | { readonly kind: 'exec'; readonly pid: number }
  /** Of a process's first thread: others may go on without it. `status` is the raw one of wait(2). */
  | { readonly kind: 'exit'; readonly pid: number; readonly status: number };

const NETLINK_HEADER = 16;
const CONNECTOR_HEADER = 20;
const EVENT_HEADER = 16;
const EVENT_AT = NETLINK_HEADER + CONNECTOR_HEADER;
const FIELDS_AT = EVENT_AT + EVENT_HEADER;
const CN_IDX_PROC = 1;
const CN_VAL_PROC = 1;
const NLMSG_DONE = 3;

const PROC_EVENT_NONE = 0;
const PROC_EVENT_FORK = 1;
const PROC_EVENT_EXEC = 2;
const PROC_EVENT_EXIT = 0x8000_0000;

/** Address family and protocol of the socket, and the group the events come to. */
export const AF_NETLINK = 16;
export const NETLINK_CONNECTOR = 11;
const LISTEN = 1;

/** `struct sockaddr_nl`, joined to the group of process events. The kernel gives the port. */
export function connectorAddress(): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(CN_IDX_PROC, 8);
  return address;
}

/** Asks for the events. */
export function listenMessage(): Buffer {
  const message = Buffer.alloc(EVENT_AT + 4);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(NLMSG_DONE, 4);
  message.writeUInt32LE(CN_IDX_PROC, NETLINK_HEADER);
  message.writeUInt32LE(CN_VAL_PROC, NETLINK_HEADER + 4);
  message.writeUInt16LE(4, NETLINK_HEADER + 16);
  message.writeUInt32LE(LISTEN, EVENT_AT);
  return message;
}

/** Events of one datagram, those that are of no interest left out. What does not fit in its own length ends the datagram. */
export function parseProcEvents(datagram: Buffer): readonly ProcEvent[] {
  const events: ProcEvent[] = [];
  for (let at = 0; at + NETLINK_HEADER <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < NETLINK_HEADER || at + length > datagram.length) break;
    const event = parseOne(datagram.subarray(at, at + length));
    if (event !== undefined) events.push(event);
    // Messages are aligned to four bytes.
    at += (length + 3) & ~3;
  }
  return events;
}

function parseOne(message: Buffer): ProcEvent | undefined {
  if (message.length < FIELDS_AT || message.readUInt32LE(NETLINK_HEADER) !== CN_IDX_PROC) return undefined;
  const fields = message.subarray(FIELDS_AT, EVENT_AT + message.readUInt16LE(NETLINK_HEADER + 16));
  switch (message.readUInt32LE(EVENT_AT)) {
    case PROC_EVENT_NONE:
      return fields.length < 4 ? undefined : { kind: 'answer', error: fields.readUInt32LE(0) };
    case PROC_EVENT_FORK:
      return parseFork(fields, message.readBigUInt64LE(EVENT_AT + 8));
    case PROC_EVENT_EXEC:
      return fields.length < 8 ? undefined : { kind: 'exec', pid: fields.readInt32LE(4) };
    case PROC_EVENT_EXIT:
      return parseExit(fields);
    default:
      return undefined;
  }
}

/** Parent's thread and process, child's thread and process: a thread is a child with another process id than its own. */
function parseFork(fields: Buffer, atNs: bigint): ProcEvent | undefined {
  if (fields.length < 16) return undefined;
  const child = fields.readInt32LE(12);
  return fields.readInt32LE(8) === child ? { kind: 'fork', parent: fields.readInt32LE(4), child, atNs } : undefined;
}

function parseExit(fields: Buffer): ProcEvent | undefined {
  if (fields.length < 12) return undefined;
  const pid = fields.readInt32LE(4);
  return fields.readInt32LE(0) === pid ? { kind: 'exit', pid, status: fields.readInt32LE(8) } : undefined;
}
