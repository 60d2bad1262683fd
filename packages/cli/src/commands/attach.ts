import { CountersignError } from '@countersign/core';
import type { WatchTarget } from '@countersign/monitor';
import type { Command, Invocation } from '../command.ts';
import { UsageError } from '../failure.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { WATCH_NOTES, WATCH_OPTIONS, watchAgent } from '../watch/watch-agent.ts';

export const attach: Command = {
  name: 'attach',
  summary: 'watch an agent that runs already, and stop it when it goes too far',
  positionals: [],
  options: [
    { name: 'pid', kind: 'text', value: 'N', about: 'the process, with all it starts from now on and its children now' },
    { name: 'name', kind: 'text', value: 'NAME', about: 'the one process whose program or script is called that' },
    ...WATCH_OPTIONS,
  ],
  notes: [
    'What happened before is not seen, and what left the process tree before does not belong to it: `countersign run` sees more.',
    'A name is looked up once and must fit exactly one process. Processes of other users need root. Ctrl-C stops the watching, and leaves the agent as it is.',
    ...WATCH_NOTES,
  ],
  example: 'countersign attach --pid 4711 --mode confirm',
  async run(invocation) {
    refuseInsideGuard(
      invocation.io.env,
      [],
      (why) =>
        new CountersignError('APPROVER_REFUSED', `${why}: processes are watched from outside; use a terminal the agent did not start`),
    );
    const target = targetOf(invocation);
    return watchAgent(invocation, () => target);
  },
};

/** @throws {UsageError} */
function targetOf({ flags }: Invocation): WatchTarget {
  const [pid, name] = [flags.text('pid'), flags.text('name')];
  if ((pid === undefined) === (name === undefined))
    throw new UsageError('attach needs --pid N or --name NAME, one of them', 'find it: ps -ef | grep NAME, or pgrep -l NAME');
  if (name !== undefined) return { name };
  if (pid === undefined || !/^[1-9]\d{0,9}$/.test(pid))
    throw new UsageError(`--pid ${JSON.stringify(pid)} is no process id`, 'for example: --pid 4711');
  return { pid: Number(pid) };
}
