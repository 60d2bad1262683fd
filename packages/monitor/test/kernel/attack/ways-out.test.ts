/** Ways out that are no `connect`, and ways around the filter. Level: exact, by the filter or by the address that is told. */
import { createSocket } from 'node:dgram';
import { describe, expect, it, onTestFinished } from 'vitest';
import { attacked, missing } from './attacked.ts';

describe.skipIf(missing !== undefined)('ways out', () => {
  it('a datagram to an address without a family goes there all the same, and is told', async () => {
    const socket = createSocket('udp4');
    onTestFinished(() => void socket.close());
    await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
    const { port } = socket.address();
    const { said, actions } = await attacked({ trapReads: 'deny-list', args: () => ['datagrams', String(port)] });
    expect(said).toEqual(['sendto ok', 'sendmsg ok', 'sendmmsg ok', 'plain ok']);
    const connects = actions.filter(({ kind }) => kind === 'connect');
    expect(connects).toEqual(Array.from({ length: 4 }, () => ({ kind: 'connect', protocol: 'udp', address: '127.0.0.1', port })));
  });

  it('no socket of a family whose addresses nobody can read, and none that connects by itself', async () => {
    const { said } = await attacked({ trapReads: 'deny-list', args: () => ['families'] });
    // Family and type: unix, IPv4, IPv6, netlink. Raw ones are root's.
    expect(said.filter((line) => !/^(?:1 [1235]|2 [123]|10 [123]|16 [23]|38 5)$/.test(line))).toEqual([]);
    expect(said).toEqual(expect.arrayContaining(['1 1', '2 1', '2 2', '10 1', '10 2', '16 2']));
  });

  it('what never happens', async () => {
    const { said } = await attacked({ trapReads: 'deny-list', args: () => ['never'] });
    expect(said).toEqual([
      'io_uring_setup ENOSYS',
      'io_uring_enter ENOSYS',
      'userfaultfd EPERM',
      'clone3 ENOSYS',
      'unshare EPERM',
      'open_by_handle_at EPERM',
      'TIOCSTI EPERM',
      'TCXONC EPERM',
      'TIOCSETD EPERM',
      'BTRFS_IOC_SNAP_CREATE EPERM',
      'BTRFS_IOC_SNAP_CREATE_V2 EPERM',
      'BTRFS_IOC_SNAP_DESTROY EPERM',
      'BTRFS_IOC_SNAP_DESTROY_V2 EPERM',
      'clock_settime EPERM',
      'settimeofday EPERM',
      'sctp EPROTONOSUPPORT',
      'sctp6 EPROTONOSUPPORT',
    ]);
  });

  it.for(['deny-list', 'broker'] as const)(
    'what lies in memory that nobody else can read is not run or opened: %s',
    async (trapReads, context) => {
      const { said, actions, isUntouched } = await attacked({ trapReads, args: ({ secret }) => ['hidden-memory', `${secret}/key`] });
      if (said[0] === 'memfd_secret ENOSYS') return context.skip('this kernel has no such memory');
      expect(said).toEqual(['hidden-path EFAULT', 'hidden-argument EFAULT']);
      expect(actions.filter(({ kind }) => kind === 'unreadable')).toHaveLength(2);
      expect(isUntouched()).toBe(true);
    },
  );

  it('a call of another interface ends the process, or there is none', async (context) => {
    if (process.arch !== 'x64') return context.skip('of x86-64');
    const { said } = await attacked({ trapReads: 'deny-list', args: () => ['foreign'] });
    expect(said).toEqual(['int80 signal 31', 'x32 ENOSYS']);
  });

  it.each(['deny-list', 'broker'] as const)('a pipe or a leased file that is run keeps nobody waiting: %s', async (trapReads) => {
    const { said } = await attacked({ trapReads, args: () => ['exec-odd'] });
    expect(said).toContain('fifo EACCES');
    expect(said).toContain('other ok');
    expect(said.indexOf('other ok')).toBeLessThan(said.indexOf('unlease ok'));
  });
});
