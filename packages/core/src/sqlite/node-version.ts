/** Node that the database driver runs on. Below it the driver ends the process with a segmentation fault, which tells nobody anything. */
import { CountersignError } from '../errors.ts';

const LEAST = { major: 22, minor: 15 } as const;

/** @throws {CountersignError} `LEDGER_UNREADABLE` */
export function requireNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > LEAST.major || (major === LEAST.major && minor >= LEAST.minor)) return;
  const least = `${LEAST.major}.${LEAST.minor}`;
  throw new CountersignError('LEDGER_UNREADABLE', `no ledger can be opened with Node ${version}: install Node ${least} or newer`);
}
