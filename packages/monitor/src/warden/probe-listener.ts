/**
 * Takes what probes inside of watched Node programs tell, by a unix socket. Who tells is what the kernel says of whoever connected, never
 * what is written: a process can lie about itself, and not in the name of another, nor close what another tells by.
 *
 * Each connection is read a bounded piece at a time, so that one that never ends keeps no other from being heard; and all of them
 * together leave whoever watches most of its time for everything else.
 */
import { chmodSync, lstatSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { CountersignError } from '@countersign/core';
import { HELLO } from '../probe/channel.ts';
import { parseTold } from '../probe/read-reports.ts';
import { MAX_REPORT_LINE } from '../probe/report.ts';

/** Of one process: each of its threads has one. */
export const MAX_OF_PROCESS = 64;
export const MAX_CONNECTIONS = 2_048;
/** Between two pieces of one connection. A piece is what Node reads at once: 64 KiB. */
const REST_MS = 10;
/** It rests so many times as long as its piece took, times the connections there are: they share a third of the time. */
const RESTS = 2;
/** At the end: for what those that have ended told last. */
const MAX_DRAIN_MS = 2_000;

export type Told = Exclude<NonNullable<ReturnType<typeof parseTold>>, number>;

/** Who is at the other end of a connection. */
export interface Teller<T> {
  /** Undefined: nobody who may. @param pid - as the kernel has it */
  enter(pid: number): T | undefined;
  /** It says that it is a probe. */
  opened(who: T): void;
  told(who: T, told: Told): void;
  /** Lines that were none, what it says it could not tell, and connections that were not let in. */
  lost(count: number): void;
  closed(who: T): void;
}

/** Undefined where the kernel does not say. */
export type PeerOf = (fd: number) => { readonly pid: number } | undefined;

export class ProbeListener<T extends object> {
  readonly #server: Server;
  readonly #path: string;
  readonly #place: string | undefined;
  readonly #connections = new Set<Connection<T>>();
  readonly #peerOf: PeerOf;
  #teller: Teller<T> | undefined;

  private constructor(server: Server, path: string, peerOf: PeerOf) {
    this.#server = server;
    this.#path = path;
    this.#place = placeOf(path);
    this.#peerOf = peerOf;
    server.on('connection', (socket) => this.#take(socket));
    server.unref();
  }

  /** @throws {CountersignError} `MONITOR_UNAVAILABLE` */
  static async listen<T extends object>(path: string, peerOf: PeerOf): Promise<ProbeListener<T>> {
    const server = createServer();
    try {
      await new Promise<void>((listening, failed) => server.once('error', failed).listen(path, listening));
      chmodSync(path, 0o600);
      return new ProbeListener<T>(server, path, peerOf);
    } catch (cause) {
      server.close();
      const why = cause instanceof Error ? cause.message : 'it failed';
      throw new CountersignError('MONITOR_UNAVAILABLE', `the probe has no channel to tell by: ${why}`, { cause });
    }
  }

  /** From now on; those that came before have nobody to tell. */
  start(teller: Teller<T>): void {
    this.#teller = teller;
  }

  /** Whoever started since, and starts now, reaches us and nobody else. */
  get isThere(): boolean {
    return this.#place !== undefined && placeOf(this.#path) === this.#place;
  }

  /** Whether one of the same process is open. */
  has(isIt: (who: T) => boolean): boolean {
    return [...this.#connections].some(({ who }) => isIt(who));
  }

  /** Hears out those that have ended, then nobody. */
  async stop(): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) connection.hurry();
    const until = performance.now() + MAX_DRAIN_MS;
    while (this.#connections.size > 0 && performance.now() < until) {
      const heard = [...this.#connections].map(({ bytes }) => bytes);
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
      // Those that run on have no end, and are quiet.
      if ([...this.#connections].every(({ bytes }, index) => bytes === heard[index])) break;
    }
    this.#teller = undefined;
    for (const connection of this.#connections) connection.end();
  }

  #take(socket: Socket): void {
    socket.on('error', () => {});
    const teller = this.#teller;
    const peer = this.#peerOf(descriptorOf(socket));
    const who = peer === undefined || this.#connections.size >= MAX_CONNECTIONS ? undefined : teller?.enter(peer.pid);
    const others = [...this.#connections].filter((each) => each.pid === peer?.pid).length;
    if (teller === undefined || peer === undefined || who === undefined || others >= MAX_OF_PROCESS) {
      socket.destroy();
      teller?.lost(1);
      return;
    }
    const connection = new Connection(socket, peer.pid, who, teller, {
      onClose: () => this.#connections.delete(connection),
      count: () => this.#connections.size,
    });
    this.#connections.add(connection);
  }
}

interface Others {
  readonly onClose: () => void;
  /** Connections there are. */
  readonly count: () => number;
}

class Connection<T> {
  readonly pid: number;
  readonly who: T;
  bytes = 0;
  readonly #socket: Socket;
  readonly #teller: Teller<T>;
  readonly #others: Others;
  #rest: Buffer = Buffer.alloc(0);
  #isProbe = false;
  #isHurried = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, pid: number, who: T, teller: Teller<T>, others: Others) {
    this.pid = pid;
    this.who = who;
    this.#socket = socket;
    this.#teller = teller;
    this.#others = others;
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('close', () => {
      clearTimeout(this.#timer);
      others.onClose();
      if (this.#isProbe) teller.closed(who);
    });
  }

  /** No pauses any more. */
  hurry(): void {
    this.#isHurried = true;
    this.#socket.resume();
  }

  end(): void {
    this.#isProbe = false;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.bytes += chunk.length;
    const began = performance.now();
    this.#read(chunk);
    if (this.#isHurried) return;
    const restMs = RESTS * this.#others.count() * (performance.now() - began);
    this.#socket.pause();
    this.#timer = setTimeout(() => this.#socket.resume(), Math.max(REST_MS, restMs)).unref();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      this.#line(bytes.subarray(start, end + 1));
      start = end + 1;
    }
    this.#rest = bytes.subarray(start);
    if (this.#rest.length > MAX_REPORT_LINE) {
      this.#teller.lost(1);
      this.#socket.destroy();
    }
  }

  #line(line: Buffer): void {
    if (!this.#isProbe && line.toString('latin1') === HELLO) {
      this.#isProbe = true;
      return this.#teller.opened(this.who);
    }
    const said = this.#isProbe ? parseTold(line.subarray(0, -1)) : undefined;
    if (said === undefined) this.#teller.lost(1);
    else if (typeof said === 'number') this.#teller.lost(said);
    else this.#teller.told(this.who, said);
  }
}

/**
 * Which socket lies there, and when anything was last put into its folder or taken out: one that was away for a moment, with another in
 * its place, has been heard by others. Nobody sets that time back. Undefined: none.
 */
function placeOf(path: string): string | undefined {
  const [socket, folder] = [path, dirname(path)].map((each) => lstatSync(each, { bigint: true, throwIfNoEntry: false }));
  return socket === undefined || folder === undefined ? undefined : `${socket.ino} ${folder.ctimeNs}`;
}

/** Node does not tell it. -1: none. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined;
  return typeof fd === 'number' ? fd : -1;
}
