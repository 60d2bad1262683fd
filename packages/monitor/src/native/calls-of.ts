/** Functions of the C library that answer like the kernel: zero or more is a result, less than zero the negated errno. */
import type * as Koffi from 'koffi';

export type NativeCall = (...values: unknown[]) => number;

/** Of this process itself, so whichever C library Node runs on. @returns what binds one; it throws when the library lacks that */
export function callsOf(koffi: typeof Koffi): (name: string, result: string, parameters: string[]) => NativeCall {
  const libc = koffi.load(null);
  // What it gives is a number: no result of ours needs more than 53 bits.
  return (name, result, parameters) => withErrno(libc.func(name, result, parameters) as NativeCall, parameters.length, koffi.errno);
}

/** A failure is the negative error number. With its arguments spelled out a call costs half of what it costs with a list of them. */
function withErrno(call: NativeCall, parameters: number, errno: () => number): NativeCall {
  const answer = (result: number): number => (result < 0 ? -errno() : result);
  switch (parameters) {
    case 1:
      return (a) => answer(call(a));
    case 2:
      return (a, b) => answer(call(a, b));
    case 3:
      return (a, b, c) => answer(call(a, b, c));
    case 4:
      return (a, b, c, d) => answer(call(a, b, c, d));
    case 5:
      return (a, b, c, d, e) => answer(call(a, b, c, d, e));
    case 6:
      return (a, b, c, d, e, f) => answer(call(a, b, c, d, e, f));
    default:
      return (...values) => answer(call(...values));
  }
}
