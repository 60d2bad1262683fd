/** One chat: what was said, what the tools did, and the field to write in. */
import { useChat } from '@ai-sdk/react';
import { DefaultChatTransport, isToolUIPart, lastAssistantMessageIsCompleteWithApprovalResponses, type UIMessage } from 'ai';
import { useEffect, useMemo, useRef, useState } from 'react';
import { keyOf, type RememberedChat, readChat, remember } from './remembered.ts';
import { type Answer, ToolCall } from './tool-call.tsx';

const SUGGESTIONS = ['order 1001', 'refund 1001 20', 'refund 1001 450', 'erase customer 7', 'read ticket 7', 'payment log'];

export function Conversation({ user, chat }: { readonly user: string; readonly chat: RememberedChat }) {
  const transport = useMemo(() => new DefaultChatTransport({ api: '/api/chat' }), []);
  const { messages, setMessages, sendMessage, addToolApprovalResponse, status, error } = useChat({
    id: chat.id,
    messages: chat.messages,
    transport,
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  });
  const [text, setText] = useState('');
  const field = useRef<HTMLInputElement>(null);
  const end = useRef<HTMLDivElement>(null);
  const isBusy = status === 'submitted' || status === 'streaming';
  const waits = messages.some(isWaiting);

  useEffect(() => {
    if (messages.length > 0) remember(user, { id: chat.id, messages });
    end.current?.scrollIntoView({ block: 'end' });
  }, [messages, user, chat.id]);

  // Another tab of the same chat went on: show what it has, unless this one is in the middle of something.
  useEffect(() => {
    const follow = ({ key, newValue }: StorageEvent): void => {
      const other = key === keyOf(user) ? readChat(newValue) : undefined;
      if (!isBusy && other?.id === chat.id) setMessages(other.messages);
    };
    addEventListener('storage', follow);
    return () => removeEventListener('storage', follow);
  }, [user, chat.id, isBusy, setMessages]);

  const send = (words: string): void => {
    if (words.trim() === '' || isBusy || waits) return;
    void sendMessage({ text: words });
    setText('');
  };
  const answered = ({ id, approved, reason }: Answer): void => {
    void addToolApprovalResponse({ id, approved, ...(reason !== undefined && { reason }) });
    field.current?.focus();
  };
  return (
    <main className="chat" data-status={status}>
      <div role="log" aria-label="Conversation">
        {messages.length === 0 && <Empty onPick={send} />}
        {messages.map((message) => (
          <Message key={message.id} message={message} onAnswered={answered} />
        ))}
        {status === 'submitted' && <p className="quiet">…</p>}
        {error !== undefined && (
          <p role="alert" className="notice bad">
            That did not get through. Reload the page and try again; nothing runs twice.
          </p>
        )}
        <div ref={end} />
      </div>
      <form
        className="composer"
        onSubmit={(event) => {
          event.preventDefault();
          send(text);
        }}
      >
        <input
          id="message"
          ref={field}
          aria-label="Message"
          autoComplete="off"
          placeholder={waits ? 'Answer above first' : 'Write to the assistant'}
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <button type="submit" className="primary" disabled={isBusy || waits}>
          Send
        </button>
      </form>
    </main>
  );
}

function Empty({ onPick }: { readonly onPick: (words: string) => void }) {
  return (
    <div className="empty">
      <p>Nothing here yet. Ask for something:</p>
      {SUGGESTIONS.map((words) => (
        <button key={words} type="button" onClick={() => onPick(words)}>
          {words}
        </button>
      ))}
    </div>
  );
}

function Message({ message, onAnswered }: { readonly message: UIMessage; readonly onAnswered: (answer: Answer) => void }) {
  return (
    <article className={message.role}>
      {message.parts.map((part, index) => {
        if (part.type === 'text') return <p key={index}>{part.text}</p>;
        return isToolUIPart(part) ? <ToolCall key={part.toolCallId} part={part} onAnswered={onAnswered} /> : null;
      })}
    </article>
  );
}

function isWaiting(message: UIMessage): boolean {
  return message.parts.some((part) => isToolUIPart(part) && part.state === 'approval-requested' && part.approval.isAutomatic !== true);
}
