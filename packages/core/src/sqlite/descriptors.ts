/** Which files this process has open, on systems that show it. */
import { type BigIntStats, fstatSync, readdirSync } from 'node:fs';

/** Linux has the first, other systems may have the second. */
const FOLDERS = ['/proc/self/fd', '/dev/fd'];

export interface Descriptor extends Pick<BigIntStats, 'dev' | 'ino'> {
  readonly fd: number;
}

/** Undefined where nothing shows it. */
export function openDescriptors(): readonly Descriptor[] | undefined {
  for (const folder of FOLDERS) {
    const names = namesIn(folder);
    if (names !== undefined) return names.flatMap((name) => descriptor(Number(name)) ?? []);
  }
  return undefined;
}

function namesIn(folder: string): readonly string[] | undefined {
  try {
    return readdirSync(folder);
  } catch {
    return undefined;
  }
}

/** Undefined: closed meanwhile, as the one by which the names were read. */
function descriptor(fd: number): Descriptor | undefined {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return { fd, dev, ino };
  } catch {
    return undefined;
  }
}
