/** Exit codes of every command. Pinned by a test and described in the README. */
export const EXIT = {
  OK: 0,
  /** Invalid, refused, or a check failed. */
  FAILED: 1,
  USAGE: 2,
  /** Readable, but not proven, or empty. */
  NOT_PROVEN: 3,
  CANNOT_READ: 4,
} as const;
