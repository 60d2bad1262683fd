/** A client without a browser: what the page does, and what somebody does who does not use the page. */
import { DefaultChatTransport, isToolUIPart, readUIMessageStream, type UIMessage } from 'ai';

type ToolPart = Extract<UIMessage['parts'][number], { readonly toolCallId: string; readonly state: string }>;

export interface ChatClient {
  /** As the client has it, and may write into it. */
  messages: UIMessage[];
  /** Bodies of what was sent to `/api/chat`, oldest first. */
  readonly sent: readonly string[];
  request(
    path: string,
    init?: { readonly body?: unknown; readonly text?: string; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Response>;
  say(text: string): Promise<UIMessage>;
  /** Adds the word of the client to every open request, and sends the messages again. Nothing more is needed to claim an approval. */
  claim(approved: boolean): Promise<UIMessage>;
  /** Sends a body once more, as it was. */
  replay(body: string): Promise<readonly ToolPart[]>;
  tools(): readonly ToolPart[];
  /** Ids of the approvals the open requests stand for. */
  open(): readonly string[];
}

/** @param chat - any id; the server takes it together with whom the cookie names. */
export async function chatClient(url: string, user: string, password: string, chat: string): Promise<ChatClient> {
  const sent: string[] = [];
  let cookie = '';
  const request: ChatClient['request'] = (path, { body, text, headers } = {}) =>
    fetch(`${url}${path}`, {
      headers: { cookie, origin: url, 'content-type': 'application/json', ...headers },
      ...((body !== undefined || text !== undefined) && { method: 'POST', body: text ?? JSON.stringify(body) }),
    });
  const signedIn = await request('/api/sign-in', { body: { user, password } });
  cookie = signedIn.headers
    .getSetCookie()
    .map((line) => line.split(';', 1)[0])
    .join('; ');

  const transport = new DefaultChatTransport({
    api: '/api/chat',
    fetch: async (_path, init) => {
      const text = typeof init?.body === 'string' ? init.body : '';
      sent.push(text);
      return request('/api/chat', { text });
    },
  });
  async function send(messages: UIMessage[]): Promise<UIMessage> {
    const stream = await transport.sendMessages({
      trigger: 'submit-message',
      chatId: chat,
      messageId: undefined,
      messages,
      abortSignal: undefined,
    });
    const last = messages.at(-1);
    let answer: UIMessage | undefined;
    const reading = readUIMessageStream({ stream, ...(last?.role === 'assistant' && { message: structuredClone(last) }) });
    for await (const state of reading) answer = state;
    if (answer === undefined) throw new Error('the server streamed nothing');
    client.messages = [...(last?.role === 'assistant' ? messages.slice(0, -1) : messages), answer];
    return answer;
  }
  const client: ChatClient = {
    messages: [],
    sent,
    request,
    say: (text) => send([...client.messages, { id: `user-${client.messages.length}`, role: 'user', parts: [{ type: 'text', text }] }]),
    claim: (approved) => send(client.messages.map((message) => claimed(message, approved))),
    replay: async (body) => {
      const { messages } = JSON.parse(body) as { readonly messages: UIMessage[] };
      const kept = client.messages;
      try {
        return toolParts(await send(messages));
      } finally {
        client.messages = kept;
      }
    },
    tools: () => client.messages.flatMap(toolParts),
    open: () => client.tools().flatMap((part) => (part.state === 'approval-requested' ? [approvalIdOf(part)] : [])),
  };
  return client;
}

function toolParts(message: UIMessage): readonly ToolPart[] {
  return message.parts.filter(isToolUIPart);
}

/** What `addToolApprovalResponse` of the SDK does. */
function claimed(message: UIMessage, approved: boolean): UIMessage {
  const parts = message.parts.map((part) =>
    isToolUIPart(part) && part.state === 'approval-requested' && part.approval.isAutomatic !== true
      ? { ...part, state: 'approval-responded' as const, approval: { ...part.approval, approved } }
      : part,
  );
  return { ...message, parts };
}

function approvalIdOf(part: ToolPart): string {
  const descriptor = part.approval?.descriptor;
  return typeof descriptor === 'object' && descriptor !== null && 'approvalId' in descriptor ? String(descriptor.approvalId) : '';
}
