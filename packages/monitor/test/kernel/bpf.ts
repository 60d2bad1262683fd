/** Runs a classic BPF program on a system call, as the kernel does before it makes one. Knows what our filters are made of, and no more. */

export interface SystemCall {
  readonly arch: number;
  readonly number: number;
  /** Missing ones are 0. */
  readonly args?: readonly bigint[];
}

export type Outcome = 'trap' | 'allow' | 'kill' | { readonly errno: number };

export function runFilter(program: Buffer, { arch, number, args = [] }: SystemCall): Outcome {
  const data = Buffer.alloc(64);
  data.writeInt32LE(number | 0, 0);
  data.writeUInt32LE(arch, 4);
  args.forEach((arg, index) => data.writeBigUInt64LE(BigInt.asUintN(64, arg), 16 + 8 * index));
  let accumulator = 0;
  for (let at = 0; ; at += 8) {
    if (at + 8 > program.length) throw new Error('the program runs past its end');
    const value = program.readUInt32LE(at + 4);
    const jump = (isTrue: boolean): void => void (at += 8 * program.readUInt8(at + (isTrue ? 2 : 3)));
    switch (program.readUInt16LE(at)) {
      case 0x20:
        accumulator = data.readUInt32LE(value);
        break;
      case 0x54:
        accumulator = (accumulator & value) >>> 0;
        break;
      case 0x15:
        jump(accumulator === value);
        break;
      case 0x35:
        jump(accumulator >= value);
        break;
      case 0x06:
        return outcomeOf(value);
      default:
        throw new Error(`no such instruction: ${program.readUInt16LE(at)}`);
    }
  }
}

/** @see linux/seccomp.h */
function outcomeOf(value: number): Outcome {
  const action = (value & 0xffff_0000) >>> 0;
  if (action === 0x8000_0000) return 'kill';
  if (action === 0x7fc0_0000) return 'trap';
  if (action === 0x7fff_0000) return 'allow';
  if (action === 0x0005_0000) return { errno: value & 0xffff };
  throw new Error(`no such action: ${value.toString(16)}`);
}
