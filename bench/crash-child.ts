/** Run by `crash.ts` and killed: guarded calls in three lanes. The tool says which call it runs for: its decision was acknowledged. */
import { writeSync } from 'node:fs';
import { createGuard, rulePolicy } from '@countersign/core';
import { AGENT, ARGS, TOOL } from './calls.ts';
import { benchStore } from './fixtures.ts';

const policy = rulePolicy({
  id: 'bench',
  version: '1',
  rules: [{ id: 'reports', tools: [`${TOOL.server}/${TOOL.name}`], effect: 'allow' }],
});
const guard = createGuard({ agent: AGENT, policy, store: benchStore('none', process.argv[2] ?? '') });
const lane = async (): Promise<void> => {
  // At once and by the kernel: what is acknowledged must be known to have been, whatever happens next.
  for (;;) await guard.run({ tool: TOOL, args: ARGS }, (_args, { callId }) => writeSync(1, `${callId}\n`));
};
await Promise.all([lane(), lane(), lane()]);
