export { type TimestampOptions, timestampAnchor } from './anchors/timestamp.ts';
export type { WitnessOptions } from './anchors/witness.ts';
export { witnessAnchor } from './anchors/witness.ts';
export { type ApprovalPage, approvalPage } from './approvals/page.ts';
export { approvalLink, type PageChannelOptions, pageChannel } from './approvals/page-channel.ts';
export type { ApprovalPageOptions, PageEvent } from './approvals/page-options.ts';
export { type PeerSocket, peerSocket, tellsPeers } from './approvals/peer-socket.ts';
export { type ServedPage, type ServedPageOptions, serveApprovalPage } from './approvals/serve-page.ts';
export { type ApprovalsReader, type ApprovalsSource, ledgerSource } from './approvals/source.ts';
export type { AuthzenOptions } from './authzen/client.ts';
export { authzenPolicy } from './authzen/client.ts';
export { type ConfiguredPolicyOptions, configuredPolicy } from './authzen/configured.ts';
export type { SendingChannel, SendingOptions } from './channels/channel.ts';
export {
  type AlertWebhookCheck,
  type ChannelCheck,
  type ConfiguredAnswers,
  type ConfiguredAnswersOptions,
  type ConfiguredChannels,
  type ConfiguredOptions,
  checkAlertWebhooks,
  checkChannels,
  configuredAlertWebhooks,
  configuredAnswers,
  configuredChannels,
} from './channels/configured.ts';
export type { SignedWebhookOptions } from './channels/signed-webhook.ts';
export { type SlackOptions, slackChannel } from './channels/slack.ts';
export type { SlackAccess } from './channels/slack-api.ts';
export { type SlackInteractions, type SlackInteractionsOptions, slackInteractions } from './channels/slack-interactions.ts';
export type { Timing } from './channels/timing.ts';
export { type WebhookOptions, webhookChannel } from './channels/webhook.ts';
export { type WebhookAnswersOptions, type WebhookSender, webhookAnswers } from './channels/webhook-answers.ts';
export { type WebhookMessage, type WebhookMessages, webhookMessages } from './channels/webhook-messages.ts';
export type { ClientOptions } from './decision-point/clients.ts';
export { SERVE_CODES, type ServeCode } from './decision-point/codes.ts';
export { configuredClients } from './decision-point/configured.ts';
export {
  type DecisionPoint,
  type DecisionPointEvent,
  type DecisionPointOptions,
  decisionPoint,
  type Listener,
} from './decision-point/decision-point.ts';
export type { OpenPermit } from './decision-point/open-permits.ts';
export { type ServedDecisions, type ServedDecisionsOptions, serveDecisions } from './decision-point/serve-decisions.ts';
export { Refusals } from './http/refusals.ts';
export { type Route, routed } from './http/routes.ts';
export { type Handler, LOOPBACK, type Peer, type Served, type ServeOptions, serve } from './http/serve.ts';
