/** A /proc of our own in a temporary folder: processes that never ran, with facts a test chooses. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FakeProcess {
  readonly pid: number;
  readonly start: number;
  readonly parent?: number;
  readonly name?: string;
  readonly state?: string;
  readonly threads?: number;
  readonly cpuTicks?: number;
  readonly exitStatus?: number;
  readonly argv?: readonly string[];
  readonly exe?: string | Buffer;
  readonly cwd?: string;
  readonly environ?: Readonly<Record<string, string>>;
  readonly fds?: readonly FakeDescriptor[];
  readonly io?: string;
}

export interface FakeDescriptor {
  readonly fd: number;
  readonly target: string | Buffer;
  /** Octal, as the kernel writes it. Default: read only. */
  readonly flags?: string;
  readonly position?: number;
  readonly inode?: number;
}

export class FakeProc {
  // In memory where there is such a folder, as the real one is.
  readonly root: string = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'countersign-proc-'));

  constructor() {
    mkdirSync(join(this.root, 'net'));
    // As in the real one, entries that are no process lie between those that are.
    writeFileSync(join(this.root, 'uptime'), '1000.00 2000.00\n');
    mkdirSync(join(this.root, 'self'));
  }

  /** Puts it there, in place of what had the pid. */
  put(process: FakeProcess): void {
    this.remove(process.pid);
    const folder = this.path(process.pid);
    mkdirSync(folder);
    writeFileSync(join(folder, 'stat'), statLine(process));
    writeFileSync(join(folder, 'cmdline'), (process.argv ?? []).map((argument) => `${argument}\0`).join(''));
    writeFileSync(
      join(folder, 'environ'),
      Object.entries(process.environ ?? {})
        .map(([name, value]) => `${name}=${value}\0`)
        .join(''),
    );
    if (process.exe !== undefined) symlinkSync(process.exe, join(folder, 'exe'));
    if (process.cwd !== undefined) symlinkSync(process.cwd, join(folder, 'cwd'));
    if (process.io !== undefined) writeFileSync(join(folder, 'io'), process.io);
    this.#descriptors(folder, process.fds ?? []);
  }

  remove(pid: number): void {
    rmSync(this.path(pid), { recursive: true, force: true });
  }

  net(name: string, text: string): void {
    writeFileSync(join(this.root, 'net', name), text);
  }

  path(pid: number, ...rest: readonly string[]): string {
    return join(this.root, String(pid), ...rest);
  }

  close(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #descriptors(folder: string, fds: readonly FakeDescriptor[]): void {
    mkdirSync(join(folder, 'fd'));
    if (fds.length > 0) mkdirSync(join(folder, 'fdinfo'));
    for (const { fd, target, flags = '0100000', position = 0, inode = 1_000 + fd } of fds) {
      symlinkSync(target, join(folder, 'fd', String(fd)));
      writeFileSync(join(folder, 'fdinfo', String(fd)), `pos:\t${position}\nflags:\t${flags}\nmnt_id:\t22\nino:\t${inode}\n`);
    }
  }
}

export function statLine({
  pid,
  start,
  parent = 1,
  name = 'node',
  state = 'S',
  threads = 1,
  cpuTicks = 7,
  exitStatus = 0,
}: FakeProcess): string {
  const fields: (string | number)[] = [
    state,
    parent,
    parent,
    parent,
    0,
    -1,
    4194560,
    10,
    0,
    0,
    0,
    cpuTicks,
    0,
    0,
    0,
    20,
    0,
    threads,
    0,
    start,
    12345678,
    250,
  ];
  while (fields.length < 49) fields.push(0);
  fields.push(exitStatus);
  return `${pid} (${name}) ${fields.join(' ')}\n`;
}
