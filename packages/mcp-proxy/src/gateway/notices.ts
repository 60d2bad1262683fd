/** What is told to everybody: to servers what the client said before they came, to the client that lists changed. */
import type { ClientEnd } from './client-end.ts';
import type { Member } from './member.ts';
import { changeNotice, listenTo, type Subscriptions } from './subscriptions.ts';

/** How long a server may take over what it is told. */
const TELL_WAIT_MS = 30_000;
export const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const LISTS = ['tools', 'prompts', 'resources'] as const;

export interface NoticesParts {
  readonly members: ReadonlyMap<string, Member>;
  readonly client: ClientEnd;
  readonly subscriptions: Subscriptions;
  /** Whether there is a session, and its client said that it is ready. */
  readonly isOpen: () => boolean;
  readonly log: (text: string) => void;
}

export class Notices {
  readonly #parts: NoticesParts;
  /** `params` of the client's last `logging/setLevel`. */
  #level: string | undefined;

  constructor(parts: NoticesParts) {
    this.#parts = parts;
  }

  toAll(text: string): void {
    for (const member of this.#parts.members.values()) member.send(text);
  }

  /** @param params - of the client's `logging/setLevel`, as JSON. Resolves when every server knows, or was given its time. */
  async setLevel(params: string): Promise<void> {
    this.#level = params;
    await Promise.all([...this.#parts.members.values()].map((member) => this.#tellLevel(member)));
  }

  /** A server is up. */
  joined(member: Member): void {
    const { subscriptions } = this.#parts;
    if (this.#parts.isOpen()) {
      member.send(INITIALIZED);
      void this.#tellLevel(member);
      for (const uri of subscriptions.of(member.name)) void member.ask('resources/subscribe', JSON.stringify({ uri }), TELL_WAIT_MS);
    }
    for (const listen of subscriptions.listens()) member.send(listenTo(member.name, listen));
    this.changed();
  }

  /** @param method - of the one list that changed; absent: all may have. */
  changed(method?: string): void {
    for (const list of LISTS.filter((each) => method?.startsWith(each) ?? true)) {
      const notification = `notifications/${list}/list_changed`;
      if (this.#parts.isOpen()) this.#parts.client.say(`{"jsonrpc":"2.0","method":"${notification}"}`);
      for (const listen of this.#parts.subscriptions.listens()) {
        const notice = changeNotice(notification, listen);
        if (notice !== undefined) this.#parts.client.say(notice);
      }
    }
  }

  async #tellLevel(member: Member): Promise<void> {
    if (this.#level === undefined || member.offer === undefined || !Object.hasOwn(member.offer.capabilities, 'logging')) return;
    const answer = await member.ask('logging/setLevel', this.#level, TELL_WAIT_MS);
    if (answer.kind === 'error') this.#parts.log(`server ${member.name} refused logging/setLevel: ${answer.message}`);
  }
}
