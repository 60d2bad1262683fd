/** Names that the host itself has for addresses. Root's word, read before the agent runs: what a watched process resolves is its own. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { HostsLine } from '../rules/rule.ts';

export const HOSTS_FILE = '/etc/hosts';
/** Longer ones are lists of what somebody blocks, which lead nowhere. */
export const MAX_HOSTS_BYTES = 1_048_576;
const OTHERS_WRITE = 0o022;

/** Never throws. Empty where it is not there, is too long, or somebody but root may write it. */
export function hostsLines(path: string = HOSTS_FILE, owner = 0): readonly HostsLine[] {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { uid, mode, size } = fstatSync(fd);
      if (uid !== owner || (mode & OTHERS_WRITE) !== 0 || size > MAX_HOSTS_BYTES) return [];
      const bytes = Buffer.alloc(size);
      return parseHosts(bytes.toString('latin1', 0, readSync(fd, bytes, 0, size, 0)));
    } finally {
      closeSync(fd);
    }
  } catch {
    return [];
  }
}

export function parseHosts(text: string): readonly HostsLine[] {
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return names.length === 0 ? [] : [{ address, names }];
  });
}
