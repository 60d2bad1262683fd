/** Where humans are asked and who may send answers: what the schema cannot see, and the plain data the rest works with. */
import { foldApprover } from '../approval/approver-name.ts';
import { NAME_HINT, NAME_SHAPE } from '../policy/rule-definition.ts';
import type { SenderDocument, SlackDocument, WebhookDocument } from './channel-schema.ts';
import type { ApprovalsConfig, ChannelConfig, SenderConfig, SlackConfig, WebhookConfig } from './config.ts';
import type { Look, Path, Problem } from './document.ts';
import type { ConfigDocument } from './schema.ts';
import { placedSecret, placedSecrets, type SecretSource } from './secret.ts';

export const DEFAULT_PAGE_PORT = 4680;

/** Names that other ways to answer put before an approver: a sender that took one could speak for their people. */
const RESERVED: ReadonlySet<string> = new Set(['elicitation', 'host', 'page', 'slack', 'terminal', 'webhook']);

type Approvals = NonNullable<ConfigDocument['approvals']>;
type Place = (name: string) => string;

/** Names that could not answer, or that would answer for somebody else. */
export function channelProblems({ approvals = {}, approvers = {} }: ConfigDocument, look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  const withKey = new Map(Object.keys(approvers).map((name) => [foldApprover(name), name]));
  const names = (given: readonly Named[]): void => {
    for (const { path, name, id = name } of given) {
      const keyed = withKey.get(foldApprover(id));
      if (!NAME_SHAPE.test(name)) problems.push(look(path, `name of an approver: ${NAME_HINT}`));
      else if (keyed !== undefined) problems.push(look(path, `${keyed} has a key under \`approvers\`, and answers with that key only`));
    }
  };
  for (const [sender, { approvers: people = [] }] of Object.entries(approvals.senders ?? {})) {
    const path = ['approvals', 'senders', sender];
    if (RESERVED.has(foldApprover(sender))) problems.push(look(path, 'this name is taken by another way to answer; choose another'));
    // Otherwise `a:b` of the sender `a` and a sender `a:b` would be one.
    else if (sender.includes(':')) problems.push(look(path, 'the name of a sender has no colon'));
    names([{ path, name: sender }]);
    names(people.map((name, at) => ({ path: [...path, 'approvers', at], name, id: `${sender}:${name}` })));
  }
  const slacks = (approvals.channels ?? []).flatMap((channel, at) =>
    typeof channel === 'object' && 'slack' in channel ? [{ at, ...channel }] : [],
  );
  for (const { at, slack } of slacks) names(mapped(slack, ['approvals', 'channels', at, 'slack', 'users']));
  for (const { at } of slacks.slice(1))
    problems.push(look(['approvals', 'channels', at], 'only one channel may be slack: clicks have one way in'));
  return problems;
}

interface Named {
  readonly path: Path;
  readonly name: string;
  /** What is recorded. */
  readonly id?: string;
}

function mapped({ users }: SlackDocument, path: Path): readonly Named[] {
  return isList(users) ? [] : Object.entries(users).map(([user, name]) => ({ path: [...path, user], name }));
}

/** @param place - makes a path absolute. */
export function workOutChannels(approvals: Approvals, place: Place): Pick<ApprovalsConfig, 'channels' | 'senders' | 'page'> {
  return {
    channels: (approvals.channels ?? []).map((channel): ChannelConfig => {
      if (typeof channel === 'string') return channel;
      return 'webhook' in channel ? { webhook: webhookConfig(channel.webhook, place) } : { slack: slackConfig(channel.slack, place) };
    }),
    senders: Object.entries(approvals.senders ?? {}).map(([name, sender]) => senderConfig(name, sender, place)),
    page: { port: approvals.page?.port ?? DEFAULT_PAGE_PORT },
  };
}

function webhookConfig({ url, secret, settled = false, allow_insecure }: WebhookDocument, place: Place): WebhookConfig {
  return { url, secrets: placedSecrets(secret, place), settled, ...(allow_insecure !== undefined && { allowInsecure: allow_insecure }) };
}

function slackConfig({ channel, team, app, token, signing_secret, users }: SlackDocument, place: Place): SlackConfig {
  return {
    channel,
    token: placedSecret(token, place),
    signingSecrets: placedSecrets(signing_secret, place),
    team,
    ...(app !== undefined && { app }),
    users: isList(users) ? new Map(users.map((user) => [user, undefined])) : new Map(Object.entries(users)),
  };
}

function senderConfig(name: string, { secret, approvers }: SenderDocument, place: Place): SenderConfig {
  return { name, secrets: placedSecrets(secret, place), ...(approvers !== undefined && { approvers }) };
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList<Item>(value: readonly Item[] | object): value is readonly Item[] {
  return Array.isArray(value);
}

/** Every place a secret of the configuration lies. */
export function secretSources({ channels, senders }: Pick<ApprovalsConfig, 'channels' | 'senders'>): readonly SecretSource[] {
  const asked = channels.flatMap((channel) => {
    if (typeof channel === 'string') return [];
    return 'webhook' in channel ? channel.webhook.secrets : [channel.slack.token, ...channel.slack.signingSecrets];
  });
  return [...asked, ...senders.flatMap(({ secrets }) => secrets)];
}
