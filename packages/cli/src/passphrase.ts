/** Passphrases: from a file, or typed on a terminal without showing. Never from an argument or the environment. */
import type { Readable } from 'node:stream';
import type { Invocation } from './command.ts';
import { UsageError } from './failure.ts';
import type { Io } from './io.ts';
import { safe } from './output.ts';
import { readSmallFile } from './read-small-file.ts';

export const MAX_PASSPHRASE_CHARS = 1024;

/** The first line of a file. @throws {UsageError}; a system error when it cannot be opened. */
export function passphraseFromFile(path: string, cwd: string): string {
  const [line = ''] = readSmallFile(path, cwd, '--passphrase-file').split(/\r?\n/, 1);
  if (line === '') throw new UsageError('the first line of the passphrase file is empty', 'write the passphrase on its first line');
  if (line.length > MAX_PASSPHRASE_CHARS) {
    throw new UsageError(`the passphrase is longer than ${MAX_PASSPHRASE_CHARS} characters`, 'choose a shorter one');
  }
  return line;
}

/** True when a passphrase can be asked for. */
export function canAsk(io: Io): boolean {
  return io.isTTY.stdin && io.isTTY.stderr;
}

const ENCRYPTED_KEY = '-----BEGIN ENCRYPTED PRIVATE KEY-----';

/** The passphrase of a key file: from the file an option names, else asked for when there is one and a terminal. */
export async function passphraseFor(path: string, option: string, { io, flags }: Invocation): Promise<string | undefined> {
  const file = flags.text(option);
  if (file !== undefined) return passphraseFromFile(file, io.cwd);
  return canAsk(io) && isEncrypted(path, io.cwd) ? askPassphrase(`passphrase of ${safe(path)}: `, io) : undefined;
}

function isEncrypted(path: string, cwd: string): boolean {
  try {
    return readSmallFile(path, cwd, 'the key').startsWith(ENCRYPTED_KEY);
  } catch {
    // Reading it as a key says what is wrong with it.
    return false;
  }
}

/** Asks on the terminal. @throws {UsageError} when it is cut off. */
export async function askPassphrase(question: string, io: Io): Promise<string> {
  const { stdin, stderr } = io;
  stderr.write(question);
  setRaw(stdin, true);
  try {
    return await readHidden(stdin);
  } finally {
    setRaw(stdin, false);
    stdin.pause();
    stderr.write('\n');
  }
}

function readHidden(stdin: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed: readonly string[] = [];
    const stop = (): void => {
      stdin.off('data', take);
      stdin.off('end', cutOff);
    };
    const cutOff = (): void => {
      stop();
      reject(new UsageError('no passphrase was given', 'type it and press return, or use --passphrase-file'));
    };
    const take = (chunk: Buffer | string): void => {
      for (const character of chunk.toString()) {
        switch (character) {
          case '\r':
          case '\n':
            stop();
            return resolve(typed.join(''));
          case '\u0003':
          case '\u0004':
            return cutOff();
          case '\u007f':
          case '\b':
            typed = typed.slice(0, -1);
            break;
          default:
            if (typed.length < MAX_PASSPHRASE_CHARS) typed = [...typed, character];
        }
      }
    };
    stdin.on('data', take);
    stdin.once('end', cutOff);
    // Paused after an earlier question; listening alone does not undo that.
    stdin.resume();
  });
}

/** Raw mode keeps the terminal from echoing. */
function setRaw(stdin: Readable, raw: boolean): void {
  if ('setRawMode' in stdin && typeof stdin.setRawMode === 'function') stdin.setRawMode(raw);
}
