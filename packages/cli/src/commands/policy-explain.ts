import { resolve } from 'node:path';
import {
  besideRules,
  type Config,
  type ExplainedCall,
  type Explanation,
  explainCall,
  explainRuling,
  type Json,
  loadPolicyFile,
  ruleSetsOf,
  strictJson,
  type ToolAnnotations,
  type ToolCall,
} from '@countersign/core';
import { replayDecisions } from '@countersign/core/sqlite';
import { z } from 'zod';
import type { Command, Invocation } from '../command.ts';
import { configOf, ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { decisionLines, explanationJson, noteLines, ruleLines } from '../explanation-text.ts';
import { UsageError } from '../failure.ts';
import { safe, safeJsonLines } from '../output.ts';
import { readFileBytes } from '../read-small-file.ts';
import { instant } from '../time.ts';

const MAX_CALL_BYTES = 8_388_608;
const MODES = ['audit', 'confirm', 'enforce'] as const;
/** Longer arguments are shown from their beginning. */
const MAX_ARGUMENT_LINES = 20;

export const policyExplain: Command = {
  name: 'policy explain',
  summary: 'why a call is decided as it is, rule by rule',
  positionals: [{ name: 'call', required: false }],
  options: [
    { name: 'policy', kind: 'text', value: 'FILE', about: 'the policy; the configuration when absent' },
    { name: 'tool', kind: 'text', value: 'TOOL', about: 'the call, in place of a file: server/name, or a name alone' },
    { name: 'args', kind: 'text', value: 'JSON', about: 'its arguments; {} when absent' },
    { name: 'principal', kind: 'text', value: 'NAME', about: 'on whose behalf' },
    { name: 'label', kind: 'texts', value: 'LABEL', about: 'a label its session carries' },
    { name: 'mode', kind: 'text', value: 'MODE', about: 'audit, confirm or enforce; that of the configuration when absent' },
    { name: 'id', kind: 'text', value: 'ID', about: 'a call of a ledger, by its id' },
    { name: 'ledger', kind: 'text', value: 'FILE', about: 'that ledger; the configured one when absent' },
    { name: 'all', kind: 'switch', about: 'also rules of packs that do not apply' },
  ],
  notes: [
    'CALL is a file with JSON, or - for standard input: {"tool":"files/read","args":{...},"principal":"ada","labels":["untrusted"],"annotations":{...}}. A call of a ledger is explained as of when it was made, from what is recorded of it.',
    'Arguments are shown as rules see them, with secrets replaced. Nothing is recorded and no tool runs.',
  ],
  example: `countersign policy explain --tool bank/refund --args '{"amount": 700}'`,
  async run(invocation) {
    const { output, flags } = invocation;
    const id = flags.text('id');
    const config = policyOf(invocation);
    const explained = id === undefined ? await givenCall(invocation, config) : await recordedCall(id, invocation, config);
    const { explanation, about, args } = explained;
    output.result({ call: { ...about, args }, ...explanationJson(explanation) });
    const tool = about.tool.server === undefined ? about.tool.name : `${about.tool.server}/${about.tool.name}`;
    output.line(
      `${output.style('bold', safe(tool))}  mode ${about.mode}${about.labels.length === 0 ? '' : `, session labels ${about.labels.map(safe).join(', ')}`}`,
    );
    const lines = safeJsonLines(args);
    for (const line of lines.slice(0, MAX_ARGUMENT_LINES)) output.line(`  ${line}`);
    if (lines.length > MAX_ARGUMENT_LINES) output.line(`  ... and ${lines.length - MAX_ARGUMENT_LINES} more lines`);
    output.line();
    const folded = new Set(flags.on('all') ? [] : config.packs.map(({ definition }) => definition.id));
    for (const line of [
      ...decisionLines(explanation, output),
      ...noteLines(explanation, output),
      '',
      ...ruleLines(explanation, output, folded),
    ])
      output.line(line);
    for (const note of besideRules(config)) output.line(note);
    return EXIT.OK;
  },
};

interface Explained {
  readonly explanation: Explanation;
  readonly about: {
    readonly tool: ExplainedCall['tool'];
    readonly mode: string;
    readonly labels: readonly string[];
    readonly time?: string;
    /** What was decided then. */
    readonly decided?: {
      readonly effect: string;
      readonly would: string;
      readonly reason_code: string;
      readonly rule?: string;
      readonly policy: string;
    };
  };
  readonly args: Json;
}

function policyOf({ io, flags }: Invocation): Config {
  const given = flags.text('policy');
  return given === undefined ? configOf({ io, flags }) : loadPolicyFile(resolve(io.cwd, given));
}

const callSchema = z.strictObject({
  tool: z.union([z.string().min(1), z.strictObject({ server: z.string().optional(), name: z.string().min(1) })]),
  args: z.unknown().optional(),
  principal: z.string().optional(),
  labels: z.array(z.string()).max(64).optional(),
  annotations: z
    .strictObject({
      title: z.string().optional(),
      readOnlyHint: z.boolean().optional(),
      destructiveHint: z.boolean().optional(),
      idempotentHint: z.boolean().optional(),
      openWorldHint: z.boolean().optional(),
    })
    .optional(),
});

async function givenCall(invocation: Invocation, config: Config): Promise<Explained> {
  const { flags } = invocation;
  const { tool, args = {}, principal, labels = [], annotations } = await callOf(invocation);
  const mode = modeOf(flags.text('mode'));
  const named = typeof tool === 'string' ? splitTool(tool) : { ...(tool.server !== undefined && { server: tool.server }), name: tool.name };
  const who = flags.text('principal') ?? principal;
  const call: ToolCall = {
    // Absent hints are absent keys: that is how they were parsed.
    tool: { ...named, ...(annotations !== undefined && { annotations: annotations as ToolAnnotations }) },
    args,
    ...(who !== undefined && { principal: who }),
  };
  const explained = await explainCall(call, config, { labels: [...labels, ...flags.texts('label')], ...(mode !== undefined && { mode }) });
  return {
    explanation: explained,
    about: { tool: explained.tool, mode: explained.mode, labels: explained.sessionLabels },
    args: explained.args,
  };
}

async function callOf({ io, flags, positionals }: Invocation): Promise<z.infer<typeof callSchema>> {
  const [file] = positionals;
  const tool = flags.text('tool');
  const next = `for example: ${policyExplain.example}`;
  if (tool !== undefined) {
    if (file !== undefined) throw new UsageError('policy explain: --tool and a file name two calls', 'give one of them');
    return { tool, args: parsed(flags.text('args') ?? '{}', '--args') };
  }
  if (flags.text('args') !== undefined) throw new UsageError('--args needs --tool', next);
  if (file === undefined) throw new UsageError('policy explain needs a call: a file, -, --tool or --id', next);
  const text = file === '-' ? await readAll(io.stdin) : readFileBytes(file, io.cwd, 'policy explain', MAX_CALL_BYTES).toString('utf8');
  const call = callSchema.safeParse(parsed(text, file === '-' ? 'standard input' : file));
  if (call.success) return call.data;
  const [issue] = call.error.issues;
  throw new UsageError(
    `policy explain: the call is malformed: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
    'write {"tool":"files/read","args":{"path":"/srv/a.txt"}}',
  );
}

function parsed(text: string, what: string): unknown {
  const read = strictJson(new TextEncoder().encode(text));
  if (read === undefined) throw new UsageError(`${what} is not JSON, or names a key twice`, `for example: ${policyExplain.example}`);
  return read.value;
}

async function readAll(stdin: Invocation['io']['stdin']): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += String(chunk);
    if (text.length > MAX_CALL_BYTES)
      throw new UsageError(`policy explain: more than ${MAX_CALL_BYTES} characters on standard input`, 'give one call');
  }
  return text;
}

function splitTool(text: string): { readonly server?: string; readonly name: string } {
  const slash = text.indexOf('/');
  return slash > 0 ? { server: text.slice(0, slash), name: text.slice(slash + 1) } : { name: text };
}

function modeOf(given: string | undefined): (typeof MODES)[number] | undefined {
  const mode = MODES.find((known) => known === given);
  if (given !== undefined && mode === undefined)
    throw new UsageError(`unknown mode ${JSON.stringify(given)}`, `use one of ${MODES.join(', ')}`);
  return mode;
}

/** As of then: labels of the record, lookups of the record, the mode of the record. */
async function recordedCall(id: string, invocation: Invocation, config: Config): Promise<Explained> {
  const { io, flags, output } = invocation;
  const given = flags.text('ledger');
  const path = given === undefined ? ledgerPath({ ...invocation, positionals: [] }) : resolve(io.cwd, given);
  let found: Explained | undefined;
  let skipped: string | undefined;
  await replayDecisions(path, {
    policy: config.policy,
    labels: 'recorded',
    checks: 'all',
    isMeant: ({ call }) => call === id,
    onDecision({ entry, ruling, input }) {
      const { effect, would, reason_code, rule, policy, tool } = entry;
      const decided = { effect, would, reason_code, ...(rule !== undefined && { rule }), policy: policy.hash };
      const { server, name } = tool;
      found = {
        explanation: explainRuling(ruling, input, ruleSetsOf(config)),
        about: {
          tool: { ...(server !== undefined && { server }), name },
          mode: entry.mode,
          labels: input.session.labels,
          time: instant(entry.at),
          decided,
        },
        args: input.args,
      };
    },
    onSkipped: (_index, _entry, why) => {
      skipped = why;
    },
    onProgress: (done, total) => output.progress(done, total),
  });
  if (found !== undefined) return found;
  if (skipped !== undefined)
    throw new UsageError(`policy explain: the call cannot be replayed: ${skipped}`, '`countersign show` tells what is recorded of it');
  throw new UsageError(`policy explain: no decision belongs to the call ${JSON.stringify(id)}`, '`countersign filter` lists calls');
}
