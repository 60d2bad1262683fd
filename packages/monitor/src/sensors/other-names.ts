/**
 * Files that are watched for under their own name, recognised under any other: a hard link leads to the same file, and the kernel
 * names a descriptor by the link it was opened through.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { type DescriptorState, O_PATH, parseDescriptorInfo } from '../tree/descriptor.ts';

/** Those beyond are known by their own name alone. */
const MAX_GUARDED_FILES = 1_000;

/** The name a file is watched for under; undefined for any other file. */
export type NameOf = (state: DescriptorState) => string | undefined;

/**
 * Looks once, now. By mount and inode, so that no file needs to be asked, which a file system that hangs would not answer. A process
 * with mounts of its own is not recognised, nor is anything before Linux 5.14.
 *
 * @param paths - absolute; what is not there is passed over.
 */
export function otherNames(paths: readonly string[]): NameOf {
  const known = new Map<string, string>();
  if (process.platform !== 'linux') return () => undefined;
  for (const path of paths.slice(0, MAX_GUARDED_FILES)) {
    const key = keyOf(stateOf(path));
    if (key !== undefined) known.set(key, path);
  }
  return (state) => {
    const key = known.size === 0 ? undefined : keyOf(state);
    return key === undefined ? undefined : known.get(key);
  };
}

function keyOf(state: DescriptorState | undefined): string | undefined {
  return state?.inode === undefined || state.mount === undefined ? undefined : `${state.mount}:${state.inode}`;
}

/** A descriptor that only names it: closing any other would give up the locks that this process holds on its ledger. */
function stateOf(path: string): DescriptorState | undefined {
  let fd: number;
  try {
    fd = openSync(path, O_PATH);
  } catch {
    return undefined;
  }
  try {
    return parseDescriptorInfo(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}
