/** From `countersign.yaml` to channels that ask, handlers that take answers, and what `doctor` says about both. */
import {
  type AlertWebhookConfig,
  type Channel,
  type ChannelConfig,
  type Config,
  CountersignError,
  type Guard,
  type SenderConfig,
  type SlackConfig,
  terminalChannel,
  type WebhookConfig,
} from '@countersign/core';
import { unreached } from '../http/reach.ts';
import type { Route } from '../http/routes.ts';
import { LOOPBACK } from '../http/serve.ts';
import type { SendingChannel, SendingOptions } from './channel.ts';
import { type Environment, invalid, readSecret } from './secret.ts';
import { slackChannel } from './slack.ts';
import { slackInteractions } from './slack-interactions.ts';
import { webhookChannel } from './webhook.ts';
import { webhookAnswers } from './webhook-answers.ts';
import { type WebhookMessages, webhookMessages } from './webhook-messages.ts';

type Configured = Pick<Config, 'approvals'>;

export interface ConfiguredOptions extends Pick<SendingOptions, 'approval' | 'onError'> {
  /** Where secrets named by variable are; default `process.env`. */
  readonly env?: Environment;
  /** False: do not ask at this process' terminal, whatever the configuration says. */
  readonly terminal?: boolean;
}

export interface ConfiguredChannels {
  /** For `createGuard`, `guardFromConfig` or `openGuard`. */
  readonly channels: readonly Channel[];
  /** Close the guard first, then this, then the store. */
  close(): Promise<void>;
}

/**
 * The channels a configuration names: webhooks, Slack, and the terminal where there is one.
 *
 * @throws {CountersignError} `CONFIG_INVALID` when one of them cannot be used: a secret is not there or malformed, a URL not allowed.
 */
export function configuredChannels(config: Configured, options: ConfiguredOptions = {}): ConfiguredChannels {
  const sending = config.approvals.channels.flatMap((channel, at) => sendingChannel(channel, at, config, options));
  const canPrompt = options.terminal !== false && process.stdin.isTTY === true && process.stderr.isTTY === true;
  const terminals = config.approvals.channels.includes('terminal') && canPrompt ? [terminalChannel()] : [];
  return {
    channels: [...terminals, ...sending],
    close: async () => void (await Promise.all(sending.map((channel) => channel.close()))),
  };
}

function sendingChannel(channel: ChannelConfig, at: number, config: Configured, options: ConfiguredOptions): readonly SendingChannel[] {
  if (typeof channel === 'string') return [];
  const place = `approvals.channels[${at}]`;
  const common = {
    ...pageOf(config),
    ...(options.approval && { approval: options.approval }),
    ...(options.onError && { onError: options.onError }),
  };
  const env = options.env ?? process.env;
  return 'webhook' in channel ? [webhookOf(channel.webhook, place, common, env)] : [slackOf(channel.slack, place, common, env)];
}

function webhookOf(
  { url, secrets, settled, allowInsecure }: WebhookConfig,
  place: string,
  common: SendingOptions,
  env: Environment,
): SendingChannel {
  const read = secrets.map((source) => readSecret(source, env, `${place}.webhook.secret`));
  const more = allowInsecure === undefined ? {} : { allowInsecure };
  return placed(`${place}.webhook`, () => webhookChannel({ ...common, url, secrets: read, settled, ...more }));
}

/**
 * The webhooks that alerts of the monitor go to, in the order of the configuration.
 *
 * @throws {CountersignError} `CONFIG_INVALID` when one of them cannot be used.
 */
export function configuredAlertWebhooks(
  { monitor }: Pick<Config, 'monitor'>,
  { env = process.env }: { readonly env?: Environment } = {},
): readonly WebhookMessages[] {
  return monitor.alerts.webhooks.map((webhook, at) => alertWebhook(webhook, at, env));
}

function alertWebhook({ url, secrets, allowInsecure }: AlertWebhookConfig, at: number, env: Environment): WebhookMessages {
  const place = `monitor.alerts.webhooks[${at}]`;
  const read = secrets.map((source) => readSecret(source, env, `${place}.secret`));
  return placed(place, () => webhookMessages({ url, secrets: read, ...(allowInsecure !== undefined && { allowInsecure }) }));
}

/** The signing secret is for whoever takes answers, and not read here. */
function slackOf({ channel, token }: SlackConfig, place: string, common: SendingOptions, env: Environment): SendingChannel {
  const read = readSecret(token, env, `${place}.slack.token`);
  return placed(`${place}.slack`, () => slackChannel({ ...common, channel, token: read }));
}

/** Links lead to the page only where the configuration says that there is one. */
function pageOf({ approvals: { channels, page } }: Configured): Pick<SendingOptions, 'pageUrl'> {
  return channels.includes('page') ? { pageUrl: `http://${LOOPBACK}:${page.port}` } : {};
}

export interface ConfiguredAnswersOptions {
  /** `guard.approvals`. */
  readonly approvals: Pick<Guard['approvals'], 'resolve' | 'get'>;
  readonly env?: Environment;
  /** Told what could not be recorded or shown. Must not throw. */
  readonly onError?: (error: unknown) => void;
}

export interface ConfiguredAnswers {
  /** `/webhooks/<sender>` for each sender, and `/slack/interactions`. */
  readonly routes: readonly Route[];
  /** Waits for answers that were acknowledged. Close the server first, then this, then the store. */
  close(): Promise<void>;
}

/**
 * Where the answers of a configuration come in.
 *
 * @throws {CountersignError} `CONFIG_INVALID` when one of them cannot be used.
 */
export function configuredAnswers(config: Configured, options: ConfiguredAnswersOptions): ConfiguredAnswers {
  const env = options.env ?? process.env;
  const senders = config.approvals.senders.map((sender) => senderRoute(sender, options, env));
  requireDistinct(config, env);
  const slacks = config.approvals.channels.flatMap((channel, at) =>
    typeof channel === 'object' && 'slack' in channel
      ? [interactionsOf(channel.slack, `approvals.channels[${at}].slack`, options, env)]
      : [],
  );
  return {
    routes: [...senders, ...slacks.map(({ handle }) => ({ path: '/slack/interactions', handler: handle }))],
    close: async () => void (await Promise.all(slacks.map((slack) => slack.close()))),
  };
}

function senderRoute(
  { name, secrets, approvers }: SenderConfig,
  { approvals, onError }: ConfiguredAnswersOptions,
  env: Environment,
): Route {
  const place = `approvals.senders.${name}`;
  const read = secrets.map((source) => readSecret(source, env, `${place}.secret`));
  const sender = { name, secrets: read, ...(approvers !== undefined && { approvers }) };
  const handler = placed(place, () => webhookAnswers({ approvals, senders: [sender], ...(onError !== undefined && { onError }) }));
  return { path: `/webhooks/${name}`, handler };
}

/** A signature names no path: with one secret for two senders each could answer as the other. */
function requireDistinct({ approvals: { senders } }: Configured, env: Environment): void {
  const seen = new Map<string, string>();
  for (const { name, secrets } of senders) {
    const place = `approvals.senders.${name}`;
    for (const source of secrets) {
      const secret = readSecret(source, env, `${place}.secret`);
      const other = seen.get(secret);
      if (other !== undefined)
        throw invalid(place, `has a secret of ${other === name ? 'its own twice' : other}: nobody could tell who signed`);
      seen.set(secret, name);
    }
  }
}

function interactionsOf(
  { token, signingSecrets, team, app, users }: SlackConfig,
  place: string,
  { approvals, onError }: ConfiguredAnswersOptions,
  env: Environment,
): ReturnType<typeof slackInteractions> {
  const secrets = signingSecrets.map((source) => readSecret(source, env, `${place}.signing_secret`));
  const access = { token: readSecret(token, env, `${place}.token`), signingSecrets: secrets };
  const more = { ...(app !== undefined && { app }), ...(onError !== undefined && { onError }) };
  return placed(place, () => slackInteractions({ approvals, ...access, team, users, ...more }));
}

export interface ChannelCheck {
  /** `webhook pager.example`, `slack C0123ABCD`, `sender pager`. */
  readonly name: string;
  /** Why it cannot be used; absent when it can. */
  readonly problem?: string;
}

/** Whether everything a configuration names could be used now. Sends nothing, asks nobody. */
export function checkChannels(config: Configured, env: Environment = process.env): readonly ChannelCheck[] {
  const nobody = { resolve: () => Promise.reject(new Error('nothing is answered here')), get: () => Promise.resolve(undefined) };
  const approvals = { approvals: nobody, env };
  const channels = config.approvals.channels.flatMap((channel, at) => {
    if (typeof channel === 'string') return [];
    const place = `approvals.channels[${at}]`;
    // What is settled is looked up in the store of a guard, which is not opened for this.
    const asks = (): unknown => sendingChannel(channel, at, config, { env, approval: nobody.get });
    if ('webhook' in channel) return [check(`webhook ${hostOf(channel.webhook.url)}`, asks)];
    const takes = (): unknown => interactionsOf(channel.slack, `${place}.slack`, approvals, env);
    return [check(`slack ${channel.slack.channel}`, () => [asks(), takes()])];
  });
  const senders = config.approvals.senders.map((sender) => check(`sender ${sender.name}`, () => senderRoute(sender, approvals, env)));
  const all = check('senders', () => requireDistinct(config, env));
  const isTold = all.problem === undefined || senders.some(({ problem }) => problem !== undefined);
  return [...channels, ...senders, ...(isTold ? [] : [all])];
}

export interface AlertWebhookCheck extends ChannelCheck {
  /** It could be used, but nobody is there now: why. */
  readonly unreached?: string;
}

/** Whether alerts could be sent now. Connects to where they would go, within seconds, and sends nothing. */
export async function checkAlertWebhooks(
  { monitor }: Pick<Config, 'monitor'>,
  env: Environment = process.env,
): Promise<readonly AlertWebhookCheck[]> {
  const { webhooks } = monitor.alerts;
  return Promise.all(
    webhooks.map(async (webhook, at) => {
      const checked = check(`webhook ${hostOf(webhook.url)}`, () => alertWebhook(webhook, at, env));
      if (checked.problem !== undefined) return checked;
      const why = await unreached(new URL(webhook.url), webhook.allowInsecure === true);
      return { ...checked, ...(why !== undefined && { unreached: why }) };
    }),
  );
}

function check(name: string, make: () => unknown): ChannelCheck {
  try {
    make();
    return { name };
  } catch (error) {
    if (CountersignError.is(error)) return { name, problem: error.message };
    throw error;
  }
}

/** A URL may hold more than its host should tell. */
function hostOf(url: string): string {
  return URL.parse(url)?.host ?? '';
}

/** Says where in the configuration the options came from. */
function placed<T>(place: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'OPTIONS_INVALID') throw invalid(place, error.message);
    throw error;
  }
}
