/**
 * What inotify gives to read(2): records of `struct inotify_event` (watch, mask, cookie, length of the name: 4 bytes each), then
 * the name, filled up with zero bytes.
 *
 * @see inotify(7)
 */

export interface InotifyEvent {
  /** Minus one where the queue overflowed. */
  readonly watch: number;
  readonly mask: number;
  /** The same for both ends of a rename; 0 otherwise. */
  readonly cookie: number;
  /** Of what is inside a watched directory; empty for what is watched itself. Bytes that are no UTF-8 are replaced. */
  readonly name: string;
}

export const IN_ACCESS = 0x1;
export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_CLOSE_WRITE = 0x8;
export const IN_CLOSE_NOWRITE = 0x10;
export const IN_OPEN = 0x20;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
export const IN_Q_OVERFLOW = 0x4000;
/** The watch is gone: what it was on was deleted or unmounted, or it was taken back. */
export const IN_IGNORED = 0x8000;
export const IN_ONLYDIR = 0x100_0000;
export const IN_DONT_FOLLOW = 0x200_0000;
/** Adds to what an earlier watch on the same file asks for. */
export const IN_MASK_ADD = 0x2000_0000;
export const IN_ISDIR = 0x4000_0000;

const HEADER = 16;

/** A record that does not fit ends the reading: the kernel gives whole ones only. */
export function parseInotifyEvents(bytes: Buffer): readonly InotifyEvent[] {
  const events: InotifyEvent[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const end = at + HEADER + bytes.readUInt32LE(at + 12);
    if (end > bytes.length) break;
    const name = bytes.subarray(at + HEADER, end);
    const zero = name.indexOf(0);
    events.push({
      watch: bytes.readInt32LE(at),
      mask: bytes.readUInt32LE(at + 4),
      cookie: bytes.readUInt32LE(at + 8),
      name: name.toString('utf8', 0, zero < 0 ? name.length : zero),
    });
    at = end;
  }
  return events;
}
