import { resolve } from 'node:path';
import { checkPolicySource } from '@countersign/core';
import { type Suggestion, suggestPolicy } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { selectionOf } from '../selected.ts';
import { criteriaOf, SELECTION_OPTIONS } from '../selection-options.ts';
import { writeWhole } from '../write-whole.ts';

const WANTED = ['tool', 'agent', 'session', 'since', 'until'];
const ID_SHAPE = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

export const policySuggest: Command = {
  name: 'policy suggest',
  summary: 'a least-privilege draft from the calls a ledger saw',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    ...SELECTION_OPTIONS.filter(({ name }) => WANTED.includes(name)),
    { name: 'id', kind: 'text', value: 'NAME', about: 'of the policy; suggested when absent' },
    { name: 'output', kind: 'text', value: 'FILE', about: 'write the draft to a file, whole or not at all' },
    { name: 'force', kind: 'switch', about: 'replace that file' },
  ],
  notes: [
    'Allows exactly the tools whose calls ran, with what held for the arguments of every call: paths, hosts, small sets of values, maxima rounded up. Tools that their author calls destructive or open to the world ask, and so do tools with a call that the baseline would have stopped. Best after some days in audit mode.',
    'It is a draft of what happened, not of what should: read it, cut it, then `policy check` and `policy replay --policy` it. Nothing is verified.',
  ],
  example: 'countersign policy suggest --since 7d --output draft.yaml',
  async run(invocation) {
    const { flags, output, io } = invocation;
    const id = flags.text('id') ?? 'suggested';
    if (!ID_SHAPE.test(id)) throw new UsageError(`--id ${JSON.stringify(id)} is no name for a policy`, 'use letters, digits and . _ : -');
    const isMeant = selectionOf(criteriaOf(flags, Date.now()));
    const suggestion = await suggestPolicy(ledgerPath(invocation), {
      id,
      isMeant: ({ at, agent, session, tool }) =>
        isMeant({ index: 0, leaf: '', kind: 'decision', atMs: at, agent, session, tool, shown: new Map() }),
      onProgress: (done, total) => output.progress(done, total),
    });
    const { text, calls } = suggestion;
    // A draft that does not load would be a defect of ours, and is better told here than to whoever installs it.
    const broken = checkPolicySource(text).findings.find(({ severity }) => severity === 'error');
    if (broken !== undefined) throw new Error(`the draft does not load: ${broken.message}`);
    const target = flags.text('output');
    const file = target === undefined ? undefined : resolve(io.cwd, target);
    if (file !== undefined) await writeWhole(file, [text], flags.on('force'));
    await tell(suggestion, file, invocation);
    return calls === 0 ? EXIT.NOT_PROVEN : EXIT.OK;
  },
};

async function tell(
  { text, calls, tools, alarming, leftOut, unread }: Suggestion,
  file: string | undefined,
  { output }: Invocation,
): Promise<void> {
  output.result({
    calls,
    tools,
    alarming,
    left_out: leftOut,
    unread: Object.fromEntries(unread),
    ...(file === undefined ? { policy: text } : { output: file }),
  });
  if (calls === 0) output.note('countersign: no call that ran was found: the draft allows nothing. Run in audit mode for a while first.');
  if (output.json) return;
  if (file === undefined) {
    if (output.isTerminal) for (const line of text.trimEnd().split('\n')) output.line(safe(line));
    else await output.data(text);
    return;
  }
  output.line(`${tools} tools from ${calls} calls written to ${safe(file)}; ${alarming} of them ask because a call looked like an attack`);
  output.line(`next: countersign policy replay --policy ${safe(file)} --assume-no-links`);
}
