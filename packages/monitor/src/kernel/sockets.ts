/** What a descriptor of a waiting process is a socket for. */
import { constants } from 'node:os';
import type { KernelCalls } from '../native/kernel-calls.ts';

const { EPERM } = constants.errno;
const SO_TYPE = 3;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;

export class Sockets {
  readonly #calls: KernelCalls;

  constructor(calls: KernelCalls) {
    this.#calls = calls;
  }

  /** By packets or as a stream. What cannot be asked is taken for a stream: rules know more against those. */
  protocol(pid: number, fd: number): 'tcp' | 'udp' {
    const type = this.#type(pid, fd);
    return type === SOCK_DGRAM || type === SOCK_RAW ? 'udp' : 'tcp';
  }

  #type(pid: number, fd: number): number {
    const process = this.#calls.pidfdOpen(pid, false);
    if (process < 0) return -EPERM;
    const copy = this.#calls.pidfdGetfd(process, fd);
    this.#calls.close(process);
    if (copy < 0) return copy;
    const type = this.#calls.socketOption(copy, SO_TYPE);
    this.#calls.close(copy);
    return type;
  }
}
