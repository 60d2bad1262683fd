/**
 * Answers by Slack: where the app's interactivity requests go.
 *
 * A click is acknowledged as soon as it is known to be genuine, because Slack waits three seconds; it is recorded after
 * that, and the message is changed to say what became of it. The button's value is the id of an approval and is trusted for
 * nothing more: who answers comes from the user id Slack signed and from the configuration, what is approved from the ledger.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { ApprovalAnswer, ApprovalRow, Approver, Guard } from '@countersign/core';
import { CountersignError, haltQuestion } from '@countersign/core';
import { readPost, refusal } from '../http/inbound.ts';
import { channelFailed, SETTLED_LIFE_MS, type SendingOptions, sendingLimits } from './channel.ts';
import { Outbox } from './outbox.ts';
import { Replies } from './replies.ts';
import { PLAIN, type SlackAccess, SlackApi, type SlackMethod } from './slack-api.ts';
import { readClick, type SlackClick } from './slack-click.ts';
import { restated } from './slack-message.ts';
import { isFromSlack, SLACK_TOLERANCE_MS, slackKey } from './slack-signature.ts';
import { realTiming } from './timing.ts';

export interface SlackInteractionsOptions extends SlackAccess, Omit<SendingOptions, 'approval' | 'pageUrl'> {
  /** `guard.approvals`. */
  readonly approvals: Pick<Guard['approvals'], 'resolve' | 'get'>;
  /** Of the app, one to four: a click may be signed with any of them. */
  readonly signingSecrets: readonly string[];
  /** Id of the workspace: clicks from any other are refused. */
  readonly team: string;
  /** Id of the app; any app with the signing secret when absent. */
  readonly app?: string;
  /** Who may answer, by user id: their name as approver; undefined = recorded as `slack:<team>/<user>`. */
  readonly users: ReadonlyMap<string, string | undefined>;
}

export interface SlackInteractions {
  /** For `POST`, for this host's console or your own server. */
  readonly handle: (request: Request) => Promise<Response>;
  /** Waits for clicks that were acknowledged and are not recorded yet. Close it before the store. */
  close(): Promise<void>;
}

export const MAX_CLICK_BYTES = 262_144;
const MAX_AT_ONCE = 64;
const MAX_SECRETS = 4;
const REMEMBERED_MS: number = 2 * SLACK_TOLERANCE_MS + 1000;
const MAX_REMEMBERED = 10_000;
/** A message is written anew while the approval changes under it. */
const MAX_ROUNDS = 3;

/**
 * Takes clicks on the buttons of `slackChannel`.
 *
 * 401 when Slack did not sign it, within five minutes; 400 when it is no click of ours; 403 for another workspace or app;
 * 503 when too many are being recorded. Everything else is 200, and whoever clicked is told in Slack what became of it.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function slackInteractions(options: SlackInteractionsOptions): SlackInteractions {
  const interactions = new Interactions(options);
  return { handle: (request) => interactions.handle(request), close: () => interactions.close() };
}

class Interactions {
  readonly #options: SlackInteractionsOptions;
  readonly #keys: readonly KeyObject[];
  readonly #api: SlackApi;
  readonly #outbox: Outbox;
  readonly #replies = new Replies(REMEMBERED_MS, MAX_REMEMBERED);
  readonly #working = new Set<Promise<void>>();
  /** The last change of each message, so that an older one never comes after a newer one. */
  readonly #changes = new Map<string, Promise<void>>();

  constructor(options: SlackInteractionsOptions) {
    const { signingSecrets, team, users } = options;
    if (!Array.isArray(signingSecrets) || signingSecrets.length === 0 || signingSecrets.length > MAX_SECRETS)
      throw new CountersignError('OPTIONS_INVALID', `slackInteractions takes 1 to ${MAX_SECRETS} signing secrets`);
    if (typeof team !== 'string' || !/^T[A-Z0-9]{1,31}$/.test(team))
      throw new CountersignError('OPTIONS_INVALID', 'team must be the id of a Slack workspace, such as T0123ABCD');
    if (users.size === 0) throw new CountersignError('OPTIONS_INVALID', 'users is empty: nobody could answer');
    this.#options = options;
    this.#keys = signingSecrets.map(slackKey);
    this.#api = new SlackApi(options);
    this.#outbox = new Outbox({ ...sendingLimits(options), timing: options.timing ?? realTiming });
  }

  async handle(request: Request): Promise<Response> {
    const body = await readPost(request, 'application/x-www-form-urlencoded', MAX_CLICK_BYTES);
    if (body instanceof Response) return body;
    if (!isFromSlack(request.headers, body, this.#keys, this.#nowMs()))
      return refusal(401, 'SIGNATURE_INVALID', 'Slack did not sign this just now');
    const click = readClick(body);
    if (click === undefined) return refusal(400, 'BODY_INVALID', 'no click on a button of this app');
    const { team, app } = this.#options;
    if (click.team !== team || (app !== undefined && click.app !== app))
      return refusal(403, 'WORKSPACE_REFUSED', 'clicks from this workspace or app are not taken here');
    // A delivery that is repeated (`X-Slack-Retry-Num`) has the same bytes, whatever its headers say.
    const digest = createHash('sha256').update(body).digest('hex');
    const reply = await this.#replies.once(digest, digest, this.#nowMs(), async () => this.#start(click));
    return reply?.status === 200 ? new Response(null, { status: 200 }) : refusal(503, 'TRY_AGAIN', 'too many clicks are being recorded');
  }

  async close(): Promise<void> {
    await Promise.all(this.#working);
    await this.#outbox.close();
  }

  #start(click: SlackClick): { readonly status: number; readonly body: undefined } {
    if (this.#working.size >= MAX_AT_ONCE) return { status: 503, body: undefined };
    const work = this.#record(click)
      .catch((error: unknown) => this.#report(error))
      .finally(() => this.#working.delete(work));
    this.#working.add(work);
    return { status: 200, body: undefined };
  }

  async #record(click: SlackClick): Promise<void> {
    const { users, team, approvals } = this.#options;
    if (!users.has(click.user)) return this.#tell(click, 'You may not answer approvals here. Nothing was changed.');
    const approver: Approver = { id: users.get(click.user) ?? `slack:${team}/${click.user}`, method: 'webhook' };
    try {
      await approvals.resolve(click.approval, await this.#answerOf(click), approver);
    } catch (error) {
      return this.#refused(error, click, approver);
    }
    await this.#show(click);
  }

  /** What is denied after a halt is known by the ledger, not by what the message showed. */
  async #answerOf({ approval, decision }: SlackClick): Promise<ApprovalAnswer> {
    if (decision !== 'halt-deny') return { decision };
    const row = await this.#options.approvals.get(approval);
    if (row === undefined) throw new CountersignError('APPROVAL_NOT_FOUND', 'no approval has this id');
    const halt = row.shown === undefined ? undefined : haltQuestion({ tool: row.tool, args: row.shown });
    if (halt === undefined) throw new CountersignError('APPROVER_REFUSED', 'this is no question after a halt');
    return { decision: 'edit', args: halt.deny };
  }

  async #refused(error: unknown, click: SlackClick, approver: Approver): Promise<void> {
    const code: string = CountersignError.is(error) ? error.code : '';
    switch (code) {
      case 'APPROVER_REFUSED':
        return this.#tell(click, 'You may not answer this approval. Nothing was changed.');
      case 'APPROVAL_NOT_FOUND':
        return this.#tell(click, 'This approval is not known here. Nothing was changed.');
      case 'APPROVAL_NOT_PENDING': {
        const row = await this.#options.approvals.get(click.approval);
        const stands = row?.answers.some(
          ({ approver: by, answer }) => by === approver.id && answer === (click.decision === 'approve' ? 'approve' : 'deny'),
        );
        // The same person clicked twice: the message says it all.
        await Promise.all([
          this.#show(click),
          ...(stands === true ? [] : [this.#tell(click, `This approval is ${row?.state ?? 'gone'} already. Nothing was changed.`)]),
        ]);
        return undefined;
      }
      default:
        this.#report(error);
        return this.#tell(click, 'Your answer could not be recorded. Try again in a moment.');
    }
  }

  /** Changes the message to say how the approval stands, after every earlier change of it. */
  #show(click: SlackClick): Promise<void> {
    const before = this.#changes.get(click.approval) ?? Promise.resolve();
    const change = before
      .then(() => this.#change(click))
      .catch((error: unknown) => this.#report(error))
      .finally(() => {
        if (this.#changes.get(click.approval) === change) this.#changes.delete(click.approval);
      });
    this.#changes.set(click.approval, change);
    return change;
  }

  async #change({ approval, place, blocks }: SlackClick): Promise<void> {
    const { approvals } = this.#options;
    let row = await approvals.get(approval);
    for (let round = 0; row !== undefined && round < MAX_ROUNDS; round++) {
      await this.#send('chat.update', { ...place, ...restated(blocks, row, this.#nowMs()), ...PLAIN });
      // Answered meanwhile, here or in another process, which may have written before us.
      const now = await approvals.get(approval);
      if (now === undefined || isSame(row, now)) return;
      row = now;
    }
  }

  /** Seen only by the person who clicked. */
  #tell({ place: { channel }, user }: SlackClick, text: string): Promise<void> {
    return this.#send('chat.postEphemeral', { channel, user, text, ...PLAIN });
  }

  async #send(method: SlackMethod, body: object): Promise<void> {
    const sent = await this.#outbox.send((signal) => this.#api.call(method, body, this.#nowMs(), signal), {
      deadlineMs: this.#nowMs() + SETTLED_LIFE_MS,
    });
    if (sent.kind === 'failed') this.#report(channelFailed('slack', sent.why));
  }

  #report(error: unknown): void {
    this.#options.onError?.(error instanceof Error ? error : channelFailed('slack', 'could not be told: unexpected error'));
  }

  #nowMs(): number {
    return (this.#options.timing ?? realTiming).nowMs();
  }
}

function isSame(left: ApprovalRow, right: ApprovalRow): boolean {
  return left.state === right.state && left.answers.length === right.answers.length;
}
