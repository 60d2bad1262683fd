/** The shape of `approvals.channels` and `approvals.senders`. A secret is named, never written into the file. */
import * as z from 'zod';
import { type SecretDocument, type SecretsDocument, secretSchema, secretsSchema } from './secret.ts';

export const CHANNELS = ['elicitation', 'page', 'terminal'] as const;
export type ChannelWord = (typeof CHANNELS)[number];

export const MAX_CHANNELS = 16;
const MAX_SENDERS = 64;
const MAX_PEOPLE = 1000;

export type ChannelDocument = ChannelWord | { readonly webhook: WebhookDocument } | { readonly slack: SlackDocument };

export interface WebhookDocument {
  readonly url: string;
  readonly secret: SecretsDocument;
  readonly settled?: boolean | undefined;
  readonly allow_insecure?: boolean | undefined;
}

export interface SlackDocument {
  readonly channel: string;
  readonly team: string;
  readonly app?: string | undefined;
  readonly token: SecretDocument;
  readonly signing_secret: SecretsDocument;
  readonly users: Readonly<Record<string, string>> | readonly string[];
}

export interface SenderDocument {
  readonly secret: SecretsDocument;
  readonly approvers?: readonly string[] | undefined;
}

const slackId = (first: string, what: string): z.ZodString =>
  z
    .string()
    .regex(new RegExp(`^[${first}][A-Z0-9]{1,31}$`), `${what} looks like ${first.slice(0, 1)}0123ABCD; Slack shows it, a name will not do`);
const person = z.string().min(1).max(64);

const webhook = z.strictObject({
  url: z.string().min(1).max(2048).describe('https; http to loopback. No credentials and no query: it is no place for secrets'),
  secret: secretsSchema,
  settled: z.boolean().optional().describe('also tell when an approval was settled; false when absent'),
  allow_insecure: z.boolean().optional().describe('plain http to other hosts'),
});

const slack = z.strictObject({
  channel: slackId('CGD', 'the id of a channel').describe('id of the channel that messages go to'),
  team: slackId('T', 'the id of a workspace').describe('id of the workspace: clicks from any other are refused'),
  app: slackId('A', 'the id of an app').optional().describe('id of the app; any app with the signing secret when absent'),
  token: secretSchema.describe('of the bot, xoxb-...: it needs chat:write'),
  signing_secret: secretsSchema.describe('of the app: clicks are signed with it'),
  users: z
    .union([z.record(slackId('UW', 'the id of a user'), person), z.array(slackId('UW', 'the id of a user')).min(1).max(MAX_PEOPLE)])
    .describe('who may answer: ids of users, each with a name as approver if it has one'),
});

export const channelSchema: z.ZodType<ChannelDocument> = z.union([
  z.enum(CHANNELS),
  z.strictObject({ webhook }).describe('a signed HTTP request for each approval (standardwebhooks.com)'),
  z.strictObject({ slack }).describe('a message with buttons'),
]);

export const sendersSchema: z.ZodType<Readonly<Record<string, SenderDocument>>> = z
  .record(
    z.string(),
    z.strictObject({
      secret: secretsSchema,
      approvers: z.array(person).min(1).max(MAX_PEOPLE).optional().describe('people it may name; it answers in its own name when absent'),
    }),
  )
  .refine((senders) => Object.keys(senders).length <= MAX_SENDERS, `at most ${MAX_SENDERS} senders`);
