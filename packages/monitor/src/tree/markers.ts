/** What our own environment variables say of a process. It may have set them itself: they are a claim of it, not a proof. */

export interface Markers {
  /** `COUNTERSIGN_RUN`: the run it was launched in. */
  readonly run?: string;
  /** `COUNTERSIGN_CALL`: the call it was started for. */
  readonly call?: string;
}

export const RUN_MARKER = 'COUNTERSIGN_RUN';
export const CALL_MARKER = 'COUNTERSIGN_CALL';

/** @param environ - `NAME=value` separated by NUL, as in /proc/PID/environ. The first of a name counts, as for `getenv`. */
export function parseMarkers(environ: Buffer): Markers {
  const run = valueOf(environ, RUN_MARKER);
  const call = valueOf(environ, CALL_MARKER);
  return { ...(run !== undefined && { run }), ...(call !== undefined && { call }) };
}

/** Ids of ours are short and plain. Anything else was not written by us. */
const ID = /^[A-Za-z0-9_.:-]{1,128}$/;

function valueOf(environ: Buffer, name: string): string | undefined {
  const wanted = `${name}=`;
  for (let at = environ.indexOf(wanted); at >= 0; at = environ.indexOf(wanted, at + 1)) {
    // Inside another value it is no variable.
    if (at > 0 && environ[at - 1] !== 0) continue;
    const from = at + wanted.length;
    const end = environ.indexOf(0, from);
    // Cut off by the bound of the reading: half an id is none.
    if (end < 0) return undefined;
    const value = environ.toString('latin1', from, end);
    return ID.test(value) ? value : undefined;
  }
  return undefined;
}
