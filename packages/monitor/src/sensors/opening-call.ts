/**
 * What a thread that waits in the middle of a call opens a file for. Registers do not change while it waits, and no other thread can
 * change them; what its pointers lead to can be changed, and is not looked at.
 */
import { readFileSync } from 'node:fs';
import { callNames } from '../kernel/notification.ts';

/** `O_WRONLY | O_RDWR | O_CREAT | O_TRUNC`. */
const WRITES = 0o1 | 0o2 | 0o100 | 0o1000;
const names = callNames(process.arch);

/** Undefined where the call does not say, or cannot be seen: `openat2`, another interface of the kernel, a kernel thread that does it for it. */
export function opensBy(tid: number): 'read' | 'write' | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${tid}/syscall`, 'latin1');
  } catch {
    return undefined;
  }
  return openedFor(text);
}

/** @param text - of /proc/PID/syscall: the number of the call, then six registers in hexadecimal. */
export function openedFor(text: string): 'read' | 'write' | undefined {
  const [number = '', ...registers] = text.trim().split(' ');
  if (!/^\d{1,4}$/.test(number)) return undefined;
  const by = (register: number): 'read' | 'write' | undefined => {
    const value = registers[register] ?? '';
    if (!/^0x[0-9a-f]{1,16}$/.test(value)) return undefined;
    return (Number(BigInt.asUintN(32, BigInt(value))) & WRITES) === 0 ? 'read' : 'write';
  };
  const name: string = names.get(Number(number)) ?? '';
  switch (name) {
    case 'open':
      return by(1);
    case 'openat':
      return by(2);
    case 'creat':
      return 'write';
    case 'execve':
    case 'execveat':
      return 'read';
    default:
      return undefined;
  }
}
