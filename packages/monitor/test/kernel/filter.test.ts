import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArgTest, type FilterRule, filterProgram, INSTRUCTION_BYTES, MAX_INSTRUCTIONS } from '../../src/kernel/filter.ts';
import { ARCHS, type ArchTable, type CallName } from '../../src/kernel/syscalls.ts';
import { TRAP_READS, type TrapOptions, trapsOf } from '../../src/kernel/traps.ts';
import { type Outcome, runFilter } from './bpf.ts';

const I386 = 0x4000_0003;
const ARM = 0x4000_0028;
const X32 = 0x4000_0000;
const ENOSYS = { errno: 38 };
const EPERM = { errno: 1 };
const tables = [...ARCHS];

/** What the rules say, read one after another. */
function directly(rules: readonly FilterRule[], name: string, args: readonly bigint[]): Outcome {
  for (const { call, when = [], does } of rules) {
    if (call !== name || !when.every((test) => holds(test, args))) continue;
    return typeof does === 'number' ? { errno: does } : does;
  }
  return 'allow';
}

function holds({ arg, half, mask, is, value }: ArgTest, args: readonly bigint[]): boolean {
  const whole = BigInt.asUintN(64, args[arg] ?? 0n);
  const word = Number(half === 'high' ? whole >> 32n : whole & 0xffff_ffffn);
  const equals = (word & (mask ?? 0xffff_ffff)) >>> 0 === value >>> 0;
  return is === 'equal' ? equals : !equals;
}

const options = (over: Partial<TrapOptions> = {}): TrapOptions => ({ trapReads: 'deny-list', warden: 4_242, wardenGroup: 4_200, ...over });
const EVERY_SETTING: readonly TrapOptions[] = TRAP_READS.flatMap((trapReads) => [
  options({ trapReads }),
  { trapReads, warden: 1 }, // a group that is not known
]);

/** The outcome on an architecture, by name of the call. */
function filterOf(arch: string, table: ArchTable, over: Partial<TrapOptions> = {}): (call: CallName, ...args: bigint[]) => Outcome {
  const program = filterProgram(arch, trapsOf(options(over)));
  return (call, ...args) => runFilter(program, { arch: table.audit, number: table.numbers.get(call) ?? -1, args });
}

describe.each(tables)('on %s', (arch, table) => {
  const numbers = [...table.numbers];
  /** Ends of ranges, values that rules name, and what lies beside them; and a half that is zero while the other is not. */
  const words = fc.oneof(
    fc.constantFrom(0, 1, 2, 4, 8, 15, 16, 17, 35, 40, 44, 132, 0x8000, 0xffff, 0x5412, 0x541c, 0x8901, 0x8902, 0xaa00, 0x4206),
    fc.constantFrom(4_200, 4_242, 4_243, 0o1, 0o2, 0o100, 0o1000, 0o20200000, 0o020644, 0o060644, 0o100644),
    fc.constantFrom(0x0001_0000, 0x0002_0000, 0x1000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
    fc.nat(0xffff_ffff),
  );
  const args = fc.array(
    fc.tuple(words, words).map(([high, low]) => (BigInt(high) << 32n) | BigInt(low)),
    { minLength: 6, maxLength: 6 },
  );

  it('the program does what the rules say, for every setting, call and argument', () => {
    for (const setting of EVERY_SETTING) {
      const rules = trapsOf(setting);
      const program = filterProgram(arch, rules);
      fc.assert(
        fc.property(fc.constantFrom(...numbers), args, ([name, number], values) => {
          expect(runFilter(program, { arch: table.audit, number, args: values })).toEqual(directly(rules, name, values));
        }),
        { numRuns: 500 },
      );
    }
  });

  it('also for rules nobody has written yet', () => {
    const test: fc.Arbitrary<ArgTest> = fc.record(
      {
        arg: fc.nat(5),
        half: fc.constant('high' as const),
        mask: words,
        is: fc.constantFrom('equal' as const, 'not' as const),
        value: words,
      },
      { requiredKeys: ['arg', 'is', 'value'] },
    );
    const calls = numbers.slice(0, 6).map(([name]) => name as CallName);
    const rule: fc.Arbitrary<FilterRule> = fc.record(
      {
        call: fc.constantFrom(...calls),
        when: fc.array(test, { maxLength: 4 }),
        does: fc.oneof(fc.constantFrom('trap' as const, 'allow' as const), fc.integer({ min: 1, max: 4_095 })),
      },
      { requiredKeys: ['call', 'does'] },
    );
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 10 }), fc.constantFrom(...numbers.slice(0, 8)), args, (rules, [name, number], values) => {
        expect(runFilter(filterProgram(arch, rules), { arch: table.audit, number, args: values })).toEqual(directly(rules, name, values));
      }),
      { numRuns: 2_000 },
    );
  });

  it('every rule is reached by some call, or its call is not of this architecture', () => {
    for (const setting of EVERY_SETTING) {
      const rules = trapsOf(setting);
      for (const [index, { call, when = [] }] of rules.entries()) {
        if (!table.numbers.has(call)) continue;
        const values = satisfying(when);
        const first = rules.findIndex((rule) => rule.call === call && (rule.when ?? []).every((each) => holds(each, values)));
        expect({ call, first }).toEqual({ call, first: index });
      }
    }
  });

  it('numbers that no rule names pass', () => {
    const program = filterProgram(arch, trapsOf(options()));
    const named = new Set(trapsOf(options()).map(({ call }) => table.numbers.get(call)));
    for (let number = 0; number < 1_024; number++)
      if (!named.has(number)) expect(runFilter(program, { arch: table.audit, number })).toBe('allow');
  });

  it('a call of another architecture ends the process, whatever its number', () => {
    const program = filterProgram(arch, trapsOf(options()));
    for (const other of [I386, ARM, 0, 0xffff_ffff, ...tables.flatMap(([name, { audit }]) => (name === arch ? [] : [audit]))])
      for (let number = -1; number < 500; number++) expect(runFilter(program, { arch: other, number })).toBe('kill');
  });

  it('the kernel takes its size, and there is room for more', () => {
    for (const setting of EVERY_SETTING)
      expect(filterProgram(arch, trapsOf(setting)).length / INSTRUCTION_BYTES).toBeLessThan(MAX_INSTRUCTIONS / 8);
  });

  it('ends with a return, and no jump leads out of it', () => {
    const program = filterProgram(arch, trapsOf(options()));
    const count = program.length / INSTRUCTION_BYTES;
    expect(program.readUInt16LE(program.length - INSTRUCTION_BYTES)).toBe(0x06);
    for (let index = 0; index < count; index++) {
      const at = index * INSTRUCTION_BYTES;
      const furthest = Math.max(program.readUInt8(at + 2), program.readUInt8(at + 3));
      expect(index + 1 + furthest).toBeLessThan(count + (program.readUInt16LE(at) === 0x06 ? 1 : 0));
    }
  });

  describe('what it lets happen', () => {
    const outcome = filterOf(arch, table);
    const off = filterOf(arch, table, { trapReads: 'off' });
    const [O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE] = [0o1n, 0o2n, 0o100n, 0o1000n, 0o20200000n];

    it.each(['deny-list', 'broker'] as const)('trapReads: %s traps every open', (trapReads) => {
      expect(filterOf(arch, table, { trapReads })('openat', 0n, 1n, 0n)).toBe('trap');
    });

    it('trapReads: off traps those that could change something', () => {
      expect(off('openat', 0n, 1n, 0n)).toBe('allow');
      expect(off('openat', 0n, 1n, 0o2000000n | 0o200000n | 0o4000n)).toBe('allow'); // O_CLOEXEC, O_DIRECTORY, O_NONBLOCK
      for (const flag of [O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE | O_WRONLY, O_TMPFILE | O_RDWR])
        expect(off('openat', 0n, 1n, flag | 0o2000000n)).toBe('trap');
      // Its flags lie in memory.
      expect(off('openat2', 0n, 1n, 1n, 24n)).toBe('trap');
      // The upper half is not looked at by the kernel either.
      expect(off('openat', 0n, 1n, 0xffff_ffff_0000_0000n)).toBe('allow');
    });

    it('an address to send to is one in either half', () => {
      expect(outcome('sendto', 3n, 1n, 2n, 0n, 0n, 0n)).toBe('allow');
      expect(outcome('sendto', 3n, 1n, 2n, 0n, 0x7fff_0000_0000n, 16n)).toBe('trap');
      expect(outcome('sendto', 3n, 1n, 2n, 0n, 0x1000n, 16n)).toBe('trap');
    });

    it('threads pass, processes are trapped, namespaces of users and mounts are refused', () => {
      const [THREAD, NEWNS, NEWUSER, NEWPID] = [0x10000n, 0x20000n, 0x1000_0000n, 0x2000_0000n];
      expect(outcome('clone', THREAD | 0xf00n)).toBe('allow');
      expect(outcome('clone', 17n)).toBe('trap');
      expect(outcome('clone', NEWPID | 17n)).toBe('trap');
      for (const flags of [NEWNS, NEWUSER, NEWNS | NEWUSER, NEWUSER | THREAD]) expect(outcome('clone', flags | 17n)).toEqual(EPERM);
      for (const flags of [NEWNS, NEWUSER, NEWNS | NEWPID]) expect(outcome('unshare', flags)).toEqual(EPERM);
      expect(outcome('unshare', 0x400n)).toBe('allow');
      expect(outcome('clone3', 1n, 88n)).toEqual(ENOSYS);
      for (const call of ['setns', 'mount', 'umount2', 'pivot_root', 'chroot', 'fsopen', 'open_tree', 'open_tree_attr'] as const)
        expect(outcome(call)).toEqual(EPERM);
    });

    it.each(['io_uring_setup', 'io_uring_enter', 'io_uring_register'] as const)('%s is as on a kernel without it', (call) => {
      expect(outcome(call)).toEqual(ENOSYS);
    });

    it.each([
      ['TIOCSTI', 0x5412n],
      ['TIOCLINUX', 0x541cn],
      ['FIOSETOWN', 0x8901n],
      ['SIOCSPGRP', 0x8902n],
      ['USERFAULTFD_IOC_NEW', 0xaa00n],
      ['BTRFS_IOC_SNAP_CREATE', 0x5000_9401n],
      ['BTRFS_IOC_SNAP_CREATE_V2', 0x5000_9417n],
      ['BTRFS_IOC_SNAP_DESTROY', 0x5000_940fn],
      ['BTRFS_IOC_SNAP_DESTROY_V2', 0x5000_943fn],
    ])('ioctl %s is refused, also with bits in the upper half', (_, request) => {
      expect(outcome('ioctl', 0n, request)).toEqual(EPERM);
      expect(outcome('ioctl', 0n, request | (0xdeadn << 32n))).toEqual(EPERM);
      expect(outcome('ioctl', 0n, request + 1_000n)).toBe('allow');
    });

    it('a terminal keeps nobody waiting who writes to it, and stays what it is', () => {
      const [TCXONC, TIOCSETD] = [0x540an, 0x5423n];
      expect(outcome('ioctl', 0n, TCXONC, 0n)).toEqual(EPERM);
      for (const goesOn of [1n, 2n, 3n]) expect(outcome('ioctl', 0n, TCXONC, goesOn)).toBe('allow');
      expect(outcome('ioctl', 0n, TIOCSETD, 0n)).toEqual(EPERM);
    });

    it('other processes: all of them or one by its number, a thread or a group', () => {
      for (const target of [0n, 1n, 4_242n, 4_243n, -1n, -4_200n]) expect(outcome('kill', target, 9n)).toBe('trap');
      expect(outcome('tgkill', 4_242n, 5n, 9n)).toBe('trap');
      // A runtime that signals its own threads is not slowed down.
      expect(outcome('tgkill', 77n, 78n, 23n)).toBe('allow');
      expect(outcome('prlimit64', 0n, 7n)).toBe('allow');
      expect(outcome('prlimit64', 77n, 7n)).toBe('trap');
      expect(outcome('fcntl', 3n, 8n, 0n)).toBe('trap');
      expect(outcome('fcntl', 3n, 15n, 0n)).toEqual(EPERM);
      expect(outcome('fcntl', 3n, 2n, 1n)).toBe('allow');
      expect(outcome('setpgid', 0n, 4_200n)).toEqual(EPERM);
      expect(outcome('setpgid', 0n, 0n)).toBe('allow');
    });

    it('what begins a trace is trapped, not each step of a debugger', () => {
      for (const request of [0n, 16n, 0x4206n]) expect(outcome('ptrace', request, 77n)).toBe('trap');
      for (const request of [1n, 4n, 7n, 12n, 17n, 0x4200n, 0x4207n]) expect(outcome('ptrace', request, 77n)).toBe('allow');
    });

    it('devices cannot be made, files and pipes are judged', () => {
      for (const type of [0o020644n, 0o060600n]) expect(outcome('mknodat', -100n, 1n, type, 0x801n)).toEqual(EPERM);
      for (const type of [0o100644n, 0o010644n, 0o140644n, 0n]) expect(outcome('mknodat', -100n, 1n, type)).toBe('trap');
    });

    it('no way out without connect', () => {
      for (const family of [17n, 40n, 44n]) expect(outcome('socket', family, 3n, 0n)).toEqual(EPERM);
      expect(outcome('socket', 2n, 1n, 132n)).toEqual({ errno: 93 });
      for (const family of [1n, 2n, 10n, 16n]) expect(outcome('socket', family, 1n, 0n)).toBe('allow');
    });

    it('a process stays readable to us, and may stay unreadable to others', () => {
      expect(outcome('prctl', 4n, 0n)).toEqual(EPERM);
      expect(outcome('prctl', 4n, 1n)).toBe('allow');
      expect(outcome('prctl', 35n, 14n)).toEqual(EPERM);
      expect(outcome('prctl', 15n, 1n)).toBe('allow');
    });
  });
});

describe('x32', () => {
  it('every number of it is as on a kernel without it, also those of calls that are trapped', () => {
    const program = filterProgram('x64', trapsOf(options()));
    const arch = ARCHS.get('x64')?.audit ?? 0;
    for (let number = 0; number < 600; number++) expect(runFilter(program, { arch, number: X32 + number })).toEqual(ENOSYS);
    for (const number of [-1, 0x7fff_ffff, 0x8000_0000 | 0]) expect(runFilter(program, { arch, number })).toEqual(ENOSYS);
  });

  it('is nothing that arm64 has', () => {
    const program = filterProgram('arm64', trapsOf(options()));
    expect(runFilter(program, { arch: ARCHS.get('arm64')?.audit ?? 0, number: X32 })).toBe('allow');
  });
});

describe('what cannot be made', () => {
  it.each(['mips', '', '__proto__', 'constructor'])('a program for %j', (arch) => {
    expect(() => filterProgram(arch, [])).toThrow(RangeError);
  });

  it('a call with more rules than a jump reaches over', () => {
    const rules = Array.from(
      { length: 90 },
      (_, value): FilterRule => ({ call: 'kill', when: [{ arg: 0, is: 'equal', value }], does: 'trap' }),
    );
    expect(() => filterProgram('x64', rules)).toThrow('too many rules for one call');
  });

  it('more instructions than the kernel takes', () => {
    const calls = [...(ARCHS.get('x64')?.numbers.keys() ?? [])] as CallName[];
    const rules = calls.flatMap((call) =>
      Array.from({ length: 50 }, (_, value): FilterRule => ({ call, when: [{ arg: 0, is: 'equal', value }], does: 'trap' })),
    );
    expect(() => filterProgram('x64', rules)).toThrow(/^the filter has \d+ instructions, 4096 fit$/);
  });
});

/** Arguments that hold all of the tests. */
function satisfying(tests: readonly ArgTest[]): readonly bigint[] {
  const args = [0n, 0n, 0n, 0n, 0n, 0n];
  for (const { arg, half, mask = 0xffff_ffff, is, value } of tests) {
    // Not this value: with another bit of the mask.
    const word = is === 'equal' ? value : (value ^ (mask & -mask)) >>> 0;
    args[arg] = (args[arg] ?? 0n) | (BigInt(word >>> 0) << (half === 'high' ? 32n : 0n));
  }
  return args;
}
