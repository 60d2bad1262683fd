/**
 * What several servers say to one client: answers to what each was asked, what they ask themselves, and what they tell. No server
 * answers for another, speaks in the name of another, or hears what another asked for.
 */
import { errorAnswer } from '../answer.ts';
import { scanJson } from '../json-scan.ts';
import { idKey, type JsonObject, member as ownMember, RPC_ERRORS } from '../message.ts';
import { readServerMessage, type ServerResponse } from '../server-message.ts';
import { Asked } from './asked.ts';
import type { ClientEnd } from './client-end.ts';
import { edited, elements, spanAt, wholeOf } from './json-spans.ts';
import type { Member } from './member.ts';
import { innerTask } from './names.ts';
import type { Owners } from './owners.ts';
import { answerEdits, notificationEdits, questionEdits, RELATED_TASK, valueAt } from './server-edits.ts';
import type { ServerStates } from './server-states.ts';
import { readSpoken, type Spoken } from './spoken.ts';
import { type Subscriptions, subscriptionIdOf } from './subscriptions.ts';

const METHOD_NOT_FOUND = -32601;
const MAX_ELICITATIONS = 1024;
const MAX_ELICITATION_ID_CHARS = 256;
/** Elicitations that one failed call can name. */
const MAX_REQUIRED = 16;

export interface FromServersParts {
  readonly members: ReadonlyMap<string, Member>;
  readonly client: ClientEnd;
  readonly owners: Owners;
  readonly subscriptions: Subscriptions;
  readonly states: ServerStates;
  /** Whether the client can be asked something now. */
  readonly canAsk: () => boolean;
  readonly log: (text: string) => void;
}

export class FromServers {
  readonly #parts: FromServersParts;
  readonly #asked = new Asked();
  /** URL elicitations by id, so that no server ends another's. */
  readonly #elicitations = new Map<string, string>();

  constructor(parts: FromServersParts) {
    this.#parts = parts;
  }

  /** @param content - one message, without what stands around it. */
  take(member: Member, content: Buffer): void {
    if (this.#parts.client.isClosed) return;
    const message = readServerMessage(content);
    const text = content.toString('utf8');
    if (message.kind === 'unclear') return this.#parts.log(`server ${member.name}: dropped what could be an answer: ${message.problem}`);
    // Servers of 2025-03-26 may send several messages at once. Each is one to us.
    if (text.trimStart().startsWith('[')) {
      if (scanJson(content).ok)
        for (const { start, end } of elements(text, wholeOf(text))) this.take(member, Buffer.from(text.slice(start, end)));
      return;
    }
    const [response] = message.kind === 'responses' ? message.responses : [];
    if (message.kind === 'responses' && response !== undefined) return this.#answerOf(member, text, response, message.repeatsKeys);
    const spoken = readSpoken(content);
    if (spoken.kind === 'unclear') return this.#parts.log(`server ${member.name}: dropped a message: ${spoken.problem}`);
    if (spoken.kind === 'request') return this.#questionOf(member, text, spoken);
    if (spoken.kind === 'notification') return this.#noticeOf(member, text, spoken.message, spoken.method);
  }

  #answerOf(member: Member, text: string, response: ServerResponse, repeatsKeys: boolean): void {
    if (member.take(response, text, repeatsKeys)) return;
    const { key } = response;
    const route = key === undefined ? undefined : this.#parts.client.routes.get(key);
    if (key !== undefined && this.#parts.subscriptions.get(key) !== undefined) return;
    if (key === undefined || route === undefined || route.server !== member.name)
      return this.#parts.log(`server ${member.name}: dropped an answer to a request it was not sent`);
    this.#parts.client.routes.remove(key);
    // Two readers would see two answers, and what is changed here only one of them.
    if (repeatsKeys)
      return this.#parts.client.error(route.idJson, RPC_ERRORS.RESPONSE_UNCLEAR, `the answer of server ${member.name} repeats a key`);
    const sealed = this.#parts.states.toClient(text, response, route);
    if (sealed === undefined) {
      const problem = `server ${member.name} asks for something, and with it gives a state that a gateway cannot keep for it`;
      return this.#parts.client.error(route.idJson, RPC_ERRORS.RESPONSE_UNCLEAR, problem);
    }
    const edits = [...answerEdits(text, response, route, member.name), ...sealed];
    this.#parts.owners.learn(member.name, response.result);
    this.#noteRequired(member.name, response.error);
    this.#parts.client.say(edits.length === 0 ? text : edited(text, edits));
  }

  #questionOf(member: Member, text: string, { message, method, idJson }: Extract<Spoken, { readonly kind: 'request' }>): void {
    const refuse = (code: number, why: string): void => void member.send(errorAnswer(idJson, code, why).toString('utf8').trimEnd());
    if (method === 'ping') return void member.send(`{"jsonrpc":"2.0","id":${idJson},"result":{}}`);
    if (!this.#parts.canAsk()) return refuse(METHOD_NOT_FOUND, 'nothing can be asked of this client now');
    const token = spanAt(text, ['params', '_meta', 'progressToken']);
    const tokenJson = token === undefined ? undefined : text.slice(token.start, token.end);
    const question = this.#asked.add(member.name, ownMember(message, 'id'), {
      method,
      idJson,
      ...(tokenJson !== undefined && { tokenJson }),
    });
    if (question === 'full') return refuse(RPC_ERRORS.LIMIT, 'too many requests wait for an answer of the client');
    if (question === 'odd') return refuse(RPC_ERRORS.INVALID_REQUEST, 'the id is neither an integer nor a short string');
    if (question === 'in-use') return this.#parts.log(`server ${member.name}: dropped a request: its id is in use`);
    const id = spanAt(text, ['id']);
    const outer = JSON.stringify(question.outerId);
    this.#noteElicitation(member.name, valueAt(message, ['params', 'elicitationId']));
    this.#parts.client.say(
      edited(text, [
        ...(id === undefined ? [] : [{ ...id, text: outer }]),
        ...(token === undefined ? [] : [{ ...token, text: outer }]),
        ...questionEdits(text, message, member.name),
      ]),
    );
  }

  #noticeOf(member: Member, text: string, message: JsonObject, method: string): void {
    if (method === 'notifications/subscriptions/acknowledged') return;
    if (method.endsWith('/list_changed')) member.forget();
    if (
      method === 'notifications/progress' &&
      !this.#parts.client.routes.isToken(valueAt(message, ['params', 'progressToken']), member.name)
    )
      return this.#parts.log(`server ${member.name}: dropped progress of a request it does not have`);
    if (method === 'notifications/elicitation/complete' && !this.#isOwnElicitation(member.name, message))
      return this.#parts.log(`server ${member.name}: dropped the end of an elicitation of another server`);
    const listened = subscriptionIdOf(message);
    if (listened !== undefined && this.#parts.subscriptions.get(idKey(listened) ?? '') === undefined) return;
    const edits = [...notificationEdits(text, message, member.name, (uri) => this.#parts.subscriptions.outerUri(member.name, uri))];
    if (method === 'notifications/cancelled') {
      const question = this.#asked.of(member.name, valueAt(message, ['params', 'requestId']));
      const span = spanAt(text, ['params', 'requestId']);
      if (question === undefined || span === undefined) return;
      this.#asked.remove(question);
      edits.push({ ...span, text: JSON.stringify(question.outerId) });
    }
    this.#parts.client.say(edited(text, edits));
  }

  /** A call that failed for want of elicitations names them. */
  #noteRequired(server: string, error: unknown): void {
    const required = valueAt(error, ['data', 'elicitations']);
    if (!Array.isArray(required)) return;
    for (const each of required.slice(0, MAX_REQUIRED)) this.#noteElicitation(server, valueAt(each, ['elicitationId']));
  }

  #noteElicitation(server: string, id: unknown): void {
    if (typeof id !== 'string' || id.length > MAX_ELICITATION_ID_CHARS || this.#elicitations.has(id)) return;
    const [oldest] = this.#elicitations.keys();
    if (this.#elicitations.size >= MAX_ELICITATIONS && oldest !== undefined) this.#elicitations.delete(oldest);
    this.#elicitations.set(id, server);
  }

  #isOwnElicitation(server: string, message: JsonObject): boolean {
    const id = valueAt(message, ['params', 'elicitationId']);
    return typeof id === 'string' && this.#elicitations.get(id) === server;
  }

  /** Of a server that is gone: what it asked is over for the client. */
  lost(member: Member): void {
    for (const { outerId } of this.#asked.removeAll(member.name)) {
      const params = JSON.stringify({ requestId: outerId, reason: 'the server ended' });
      this.#parts.client.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`);
    }
  }

  /** Progress of the client in what a server asked of it. */
  progress(text: string, message: JsonObject): void {
    const question = this.#asked.get(valueAt(message, ['params', 'progressToken']));
    const span = spanAt(text, ['params', 'progressToken']);
    if (question?.tokenJson === undefined || span === undefined) return;
    this.#parts.members.get(question.server)?.send(edited(text, [{ ...span, text: question.tokenJson }]));
  }

  /** An answer goes to the server that asked, and to no other, under the id it asked with. */
  fromClient(content: Buffer, text: string, message: JsonObject): void {
    const question = this.#asked.get(ownMember(message, 'id'));
    const scan = scanJson(content);
    if (question === undefined || !scan.ok || scan.id === undefined || scan.flaws.some(({ kind }) => kind === 'duplicate-key'))
      return this.#parts.log('dropped an answer of the client: no server asked for it, or it repeats a key');
    this.#asked.remove(question);
    const id = spanAt(text, ['id']);
    const task = valueAt(message, ['result', '_meta', RELATED_TASK, 'taskId']);
    const span = spanAt(text, ['result', '_meta', RELATED_TASK, 'taskId']);
    const inner = typeof task === 'string' ? innerTask(task) : undefined;
    const edits =
      inner !== undefined && span !== undefined && inner.server === question.server
        ? [{ ...span, text: JSON.stringify(inner.taskId) }]
        : [];
    if (id !== undefined) this.#parts.members.get(question.server)?.send(edited(text, [{ ...id, text: question.idJson }, ...edits]));
  }
}
