/**
 * The seccomp filter of a watched tree, as a classic BPF program. A filter sees numbers, never what a pointer leads to: it says which
 * calls wait for the supervisor (`trap`), which fail at once, and lets all others pass.
 *
 * @see seccomp(2), linux/filter.h
 */
import { type ArchTable, archTable, type CallName } from './syscalls.ts';

/** A comparison of half an argument: 32 bits, the lower ones unless told otherwise. All of a rule's must hold. */
export interface ArgTest {
  readonly arg: number;
  readonly half?: 'high';
  readonly mask?: number;
  readonly is: 'equal' | 'not';
  readonly value: number;
}

export interface FilterRule {
  readonly call: CallName;
  readonly when?: readonly ArgTest[];
  /** `trap`: the supervisor answers. A number: fails with that errno. */
  readonly does: 'trap' | 'allow' | number;
}

const RET_KILL_PROCESS = 0x8000_0000;
const RET_ERRNO = 0x0005_0000;
export const RET_USER_NOTIF = 0x7fc0_0000;
const RET_ALLOW = 0x7fff_0000;
const ENOSYS = 38;

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_FROM = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

/** Of `struct seccomp_data`: number, architecture, then six arguments of 8 bytes from 16 on. */
const NUMBER_AT = 0;
const ARCH_AT = 4;
const ARGS_AT = 16;
export const INSTRUCTION_BYTES = 8;
/** The kernel takes no more. */
export const MAX_INSTRUCTIONS = 4_096;

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

/**
 * Rules of one call are tried in order, the first that holds counts. Calls an architecture lacks are left out.
 *
 * @returns the program: `struct sock_filter` after `struct sock_filter`.
 * @throws {RangeError} for an architecture that is not known, or a program the kernel would not take
 */
export function filterProgram(arch: string, rules: readonly FilterRule[]): Buffer {
  const table = archTable(arch);
  if (table === undefined) throw new RangeError(`system call numbers of ${arch} are not known`);
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCH_AT],
    [JUMP_EQUAL, 1, 0, table.audit],
    [RETURN, 0, 0, RET_KILL_PROCESS],
    [LOAD, 0, 0, NUMBER_AT],
    ...foreign(table),
  ];
  for (const [number, own] of byNumber(table, rules)) {
    const block = own.flatMap(compiled);
    // A block ends with a return: what was loaded is the number still, wherever the next block is reached.
    program.push(...skipUnless(number, [...block, [RETURN, 0, 0, RET_ALLOW]]));
  }
  program.push([RETURN, 0, 0, RET_ALLOW]);
  if (program.length > MAX_INSTRUCTIONS) throw new RangeError(`the filter has ${program.length} instructions, ${MAX_INSTRUCTIONS} fit`);
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  program.forEach(([code, jumpTrue, jumpFalse, value], index) => {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(jumpTrue, at + 2);
    bytes.writeUInt8(jumpFalse, at + 3);
    bytes.writeUInt32LE(value >>> 0, at + 4);
  });
  return bytes;
}

function foreign({ foreignFrom }: ArchTable): readonly Instruction[] {
  if (foreignFrom === undefined) return [];
  return [
    [JUMP_FROM, 0, 1, foreignFrom],
    [RETURN, 0, 0, RET_ERRNO | ENOSYS],
  ];
}

function byNumber({ numbers }: ArchTable, rules: readonly FilterRule[]): ReadonlyMap<number, readonly FilterRule[]> {
  const found = new Map<number, FilterRule[]>();
  for (const rule of rules) {
    const number = numbers.get(rule.call);
    if (number !== undefined) found.set(number, [...(found.get(number) ?? []), rule]);
  }
  return found;
}

function skipUnless(number: number, block: readonly Instruction[]): readonly Instruction[] {
  return [[JUMP_EQUAL, 0, jump(block.length), number], ...block];
}

function compiled({ when = [], does }: FilterRule): readonly Instruction[] {
  const done: Instruction = [RETURN, 0, 0, returned(does)];
  return when.toReversed().reduce<readonly Instruction[]>((rest, test) => [...tested(test, rest.length), ...rest], [done]);
}

function tested({ arg, half, mask, is, value }: ArgTest, rest: number): readonly Instruction[] {
  const load: Instruction = [LOAD, 0, 0, ARGS_AT + arg * 8 + (half === 'high' ? 4 : 0)];
  const masked: readonly Instruction[] = mask === undefined ? [] : [[AND, 0, 0, mask]];
  const over = jump(rest);
  return [load, ...masked, is === 'equal' ? [JUMP_EQUAL, 0, over, value] : [JUMP_EQUAL, over, 0, value]];
}

function returned(does: FilterRule['does']): number {
  if (does === 'trap') return RET_USER_NOTIF;
  return does === 'allow' ? RET_ALLOW : RET_ERRNO | does;
}

function jump(count: number): number {
  if (count > 255) throw new RangeError('too many rules for one call');
  return count;
}
