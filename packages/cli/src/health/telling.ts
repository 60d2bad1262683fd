/** Whether the model that judges, and whoever is told of halts, are there now. Nothing is contacted that the configuration does not name. */
import { isAbsolute, resolve, sep } from 'node:path';
import { checkAlertWebhooks } from '@countersign/connect';
import { type Config, clip } from '@countersign/core';
import { DEFAULT_JUDGE_URL, findProgram, ollamaJudge } from '@countersign/monitor';
import { safe } from '../output.ts';
import type { Verdict } from './finding.ts';

const MAX_NAME_CHARS = 200;

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

/** @param cwd - relative names are looked for from there. */
export async function alerts(config: Config, cwd: string, env: NodeJS.ProcessEnv): Promise<Verdict> {
  const { command, webhooks } = config.monitor.alerts;
  const all = [
    ...(webhooks.length === 0 ? [] : [await alertWebhooks(config, env)]),
    ...(command === undefined ? [] : [alertCommand(command, cwd, env['PATH'])]),
  ];
  const worst = all.find(({ status }) => status === 'fail') ?? all.find(({ status }) => status === 'warn');
  return {
    status: worst?.status ?? 'ok',
    message: all.map(({ message }) => message).join('\n'),
    ...(worst?.next !== undefined && { next: worst.next }),
  };
}

/** Its arguments may hold what is not to be shown. */
function alertCommand([program = '']: readonly string[], cwd: string, path: string | undefined): Verdict {
  const name = `command ${clip(safe(program), MAX_NAME_CHARS)}`;
  const found = findProgram(program, cwd, path);
  if ('missing' in found)
    return {
      status: 'fail',
      message: `${name}: ${found.missing}${program.includes('/') ? '' : ' in the folders of PATH'}, and alerts would be lost`,
      next: 'install it, or set monitor.alerts.command to a program that is there; no alert was sent',
    };
  if (!isAbsolute(program) && found.program.startsWith(`${resolve(cwd)}${sep}`))
    return {
      status: 'warn',
      message: `${name}: taken from the folder that \`countersign run\` is started in, which the agent may write to`,
      next: 'give monitor.alerts.command the whole path of the program; no alert was sent',
    };
  return { status: 'ok', message: `no alert was sent\n${name}: can be run` };
}

async function alertWebhooks(config: Config, env: NodeJS.ProcessEnv): Promise<Verdict> {
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
