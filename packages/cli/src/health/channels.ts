/** Whether webhooks, Slack and senders of answers could be used now: secrets there, URLs allowed. Sends nothing. */
import { checkChannels } from '@countersign/connect';
import type { Config } from '@countersign/core';
import type { Verdict } from './finding.ts';

/** True when anything is configured that needs a secret. */
export function hasChannels({ approvals: { channels: asked, senders } }: Config): boolean {
  return senders.length > 0 || asked.some((channel) => typeof channel === 'object');
}

export function channels(config: Config, env: NodeJS.ProcessEnv): Verdict {
  const found = checkChannels(config, env);
  const broken = found.filter(({ problem }) => problem !== undefined);
  const lines = found.map(({ name, problem }) => `${name}: ${problem ?? 'usable'}`);
  if (broken.length === 0) return { status: 'ok', message: ['nothing was sent, looked at only', ...lines].join('\n') };
  return {
    status: 'fail',
    message: [`${broken.length} of ${found.length} cannot be used, and \`countersign proxy\` or \`console\` will not start`, ...lines].join(
      '\n',
    ),
    next: 'put the secrets where the configuration says; nothing was sent',
  };
}
