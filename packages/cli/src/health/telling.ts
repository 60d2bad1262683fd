/** Whether the model that judges, and whoever is told of halts, are there now. Nothing is contacted that the configuration does not name. */
import { checkAlertWebhooks } from '@countersign/connect';
import type { Config } from '@countersign/core';
import { DEFAULT_JUDGE_URL, ollamaJudge } from '@countersign/monitor';
import type { Verdict } from './finding.ts';

/** Asks which models there are, for at most five seconds. @throws {CountersignError} `OPTIONS_INVALID` as `run` would */
export async function judge(config: NonNullable<Config['monitor']['judge']>): Promise<Verdict> {
  const { url = DEFAULT_JUDGE_URL, model } = config;
  const asked = ollamaJudge(config);
  // Its path may hold more than is to be shown.
  const where = new URL(url).origin;
  const checked = await asked.check();
  const warnings = asked.warnings;
  if (!checked.ok)
    return {
      status: 'warn',
      message: [`${where}: ${checked.why}`, 'what rules leave open stays a FLAG', ...warnings].join('\n'),
      next: 'start the model server, or set monitor.judge.url; nothing else is asked',
    };
  return { status: warnings.length === 0 ? 'ok' : 'warn', message: [`${where} has ${model}`, ...warnings].join('\n') };
}

export async function alertWebhooks(config: Config, env: NodeJS.ProcessEnv): Promise<Verdict> {
  const found = await checkAlertWebhooks(config, env);
  const lines = found.map(({ name, problem, unreached }) =>
    unreached === undefined ? `${name}: ${problem ?? 'somebody is there'}` : `${name}: the receiver ${unreached}`,
  );
  const message = (heading: string): string => [heading, ...lines].join('\n');
  const broken = found.filter(({ problem }) => problem !== undefined).length;
  const missing = found.filter(({ unreached }) => unreached !== undefined).length;
  if (broken > 0)
    return {
      status: 'fail',
      message: message(`${broken} of ${found.length} webhooks cannot be used, and \`countersign run\` or \`attach\` will not start`),
      next: 'put right what the configuration says under monitor.alerts; no alert was sent',
    };
  if (missing > 0)
    return {
      status: 'warn',
      message: message(`${missing} of ${found.length} webhooks are not there now: alerts would be lost`),
      next: 'start the receiver, or set its url under monitor.alerts; no alert was sent',
    };
  return { status: 'ok', message: message('connected to, and no alert was sent') };
}
