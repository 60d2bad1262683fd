/** Who looks at what rules leave open, and who is told of halts and kills, from the configuration. */
import { configuredAlertWebhooks } from '@countersign/connect';
import { type Config, CountersignError, type Redactor } from '@countersign/core';
import { type Alerts, alerts, commandAlert, type OllamaJudge, ollamaJudge, webhookAlert } from '@countersign/monitor';
import { safe } from '../output.ts';

/**
 * @param model - of `--model`, which makes a judge also where the configuration has none.
 * @throws {CountersignError} `OPTIONS_INVALID` for what no model can be called. Nobody is asked yet.
 */
export function judgeOf({ monitor }: Pick<Config, 'monitor'>, model: string | undefined, redactor: Redactor): OllamaJudge | undefined {
  if (monitor.judge === undefined && model === undefined) return undefined;
  return ollamaJudge({ ...monitor.judge, ...(model !== undefined && { model }), redactor });
}

/** Whether it is there is told, and changes nothing. */
export async function tellOfJudge(judge: OllamaJudge, tell: (text: string) => void): Promise<void> {
  for (const warning of judge.warnings) tell(`countersign: ${safe(warning)}`);
  const checked = await judge.check();
  if (!checked.ok) tell(`countersign: ${safe(checked.why)}; until it is there, what rules leave open stays a FLAG`);
}

export interface OpenAlerts {
  readonly alerts: Alerts;
  /** Gives what is on its way a few seconds. */
  close(): Promise<void>;
}

/** Undefined when nobody is to be told. The terminal is not among them: whoever sits there sees every event. */
export function alertsOf(
  config: Pick<Config, 'monitor'>,
  env: Readonly<Record<string, string | undefined>>,
  tell: (text: string) => void,
): OpenAlerts | undefined {
  const { levels, command } = config.monitor.alerts;
  const hooks = configuredAlertWebhooks(config, { env });
  const channels = [
    ...(command === undefined ? [] : [commandAlert(command)]),
    ...hooks.map((hook) => webhookAlert(hook.name, (message, signal) => hook.send(message, signal))),
  ];
  if (channels.length === 0) return undefined;
  const all = alerts({ channels, levels, onError: (error) => tell(`countersign: ${safe(textOf(error))}`) });
  return {
    alerts: all,
    close: async () => {
      await Promise.all([all.close(), ...hooks.map((hook) => hook.close())]);
    },
  };
}

/** The cause says what a webhook did; its words are ours. */
function textOf(error: CountersignError): string {
  const { cause } = error;
  return CountersignError.is(cause) ? `${error.message}: ${cause.message} [${error.code}]` : `${error.message} [${error.code}]`;
}
