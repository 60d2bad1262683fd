/** Methods that the stateless protocol (2026-07-28) has no more, and that would reach what others share behind us. */
const REMOVED: ReadonlyMap<string, string> = new Map([
  ['initialize', 'initialize begins a session, which this version of the protocol has not'],
  ['tasks/list', 'tasks/list would tell of the tasks of every client, and is not in this version of the protocol; ask for one by its id'],
]);

/** Why a server that knows sessions too is not asked: what the client is told with METHOD_NOT_FOUND. */
export function whyRemoved(method: string): string | undefined {
  return REMOVED.get(method);
}
