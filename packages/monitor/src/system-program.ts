/** Programs of the system that are used where they are installed. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where a program of the system is; never in a folder of the path that is relative. */
export function findProgram(name: string): string | undefined {
  const folders = ['/bin', '/usr/bin', '/usr/sbin', ...(process.env['PATH'] ?? '').split(delimiter)];
  return folders
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
