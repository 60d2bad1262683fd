import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { runChecks } from '../health/checks.ts';
import type { Finding } from '../health/finding.ts';
import { type Output, safe } from '../output.ts';

const STATUS_STYLES = { ok: 'good', warn: 'warn', fail: 'bad' } as const;

export const doctor: Command = {
  name: 'doctor',
  summary: 'check this machine, the configuration, the key and the ledger',
  positionals: [],
  options: [],
  notes: [
    'Exit 1 when a check fails. Warnings do not fail.',
    'Contacts nobody but the model server of `monitor.judge` and the webhooks of `monitor.alerts`, where those are configured: the one is asked which models it has, the others are connected to and sent nothing.',
  ],
  example: 'countersign doctor --json',
  async run({ io, output, flags }) {
    const findings = await runChecks({ io, flags });
    const failed = findings.some(({ status }) => status === 'fail');
    output.result({ status: failed ? 'fail' : 'ok', checks: findings.map(findingJson) });
    for (const finding of findings) for (const line of findingLines(finding, output)) output.line(line);
    output.line();
    output.line(failed ? 'Something must be put right before calls can be guarded.' : 'Ready.');
    return failed ? EXIT.FAILED : EXIT.OK;
  },
};

function findingJson({ name, status, message, next }: Finding): Record<string, string> {
  return { name, status, message, ...(next !== undefined && { next }) };
}

function findingLines({ name, status, message, next }: Finding, output: Output): readonly string[] {
  const [first = '', ...more] = message.split('\n').map(safe);
  return [
    `${output.style(STATUS_STYLES[status], status.padEnd(4))}  ${name.padEnd(11)}  ${first}`,
    ...more.map((line) => `      ${line}`),
    ...(next === undefined ? [] : [`      next: ${safe(next)}`]),
  ];
}
