/**
 * The question. What is asked comes from the server's store and not from the chat, so that what one reads here is what will
 * run; the answer goes to the server's own route. Only then is the chat told to go on.
 */
import { useCallback, useEffect, useRef, useState } from 'react';
import { getJson, postJson } from './requests.ts';
import { textOf, visible } from './text.ts';

interface Asked {
  readonly tool: string;
  readonly shown: unknown;
  readonly reason: string;
  readonly state: string;
  readonly message: string | undefined;
  readonly expiresAtMs: number;
}

export function Approval({
  descriptor,
  onAnswered,
}: {
  readonly descriptor: unknown;
  readonly onAnswered: (approved: boolean, reason?: string) => void;
}) {
  const approvalId = approvalIdOf(descriptor);
  const path = approvalId === undefined ? undefined : `/api/approvals/${encodeURIComponent(approvalId)}`;
  const [asked, setAsked] = useState<Asked | 'unknown' | undefined>(approvalId === undefined ? 'unknown' : undefined);
  const [message, setMessage] = useState('');
  const [notice, setNotice] = useState('');
  const isSending = useRef(false);

  const load = useCallback(async (): Promise<void> => {
    if (path === undefined) return;
    const { status, body } = await getJson(path);
    if (status === 0) setNotice('The server does not answer.');
    else setAsked(status === 200 ? askedOf(body) : 'unknown');
  }, [path]);
  useEffect(() => void load(), [load]);

  // The card is there before what is asked is: it would end below the window's edge.
  const isOpen = typeof asked === 'object' && asked.state === 'pending';
  useEffect(() => {
    if (isOpen) document.querySelector('.asking')?.scrollIntoView({ block: 'nearest' });
  }, [isOpen]);

  // At its expiry, and when one comes back to this tab: what does the server say now?
  const expiresAtMs = isOpen ? asked.expiresAtMs : undefined;
  useEffect(() => {
    if (expiresAtMs === undefined) return;
    const timer = setTimeout(() => void load(), Math.min(Math.max(expiresAtMs - Date.now(), 1000), MAX_WAIT_MS));
    const again = (): void => void load();
    addEventListener('focus', again);
    return () => {
      clearTimeout(timer);
      removeEventListener('focus', again);
    };
  }, [expiresAtMs, load]);

  const answer = async (decision: 'approve' | 'deny'): Promise<void> => {
    // A second click comes before the buttons are gone.
    if (isSending.current) return;
    isSending.current = true;
    const words = message.trim() === '' ? undefined : message.trim();
    const { status } = await postJson('/api/approvals', { approvalId, decision, ...(words !== undefined && { message: words }) });
    isSending.current = false;
    if (status === 200) onAnswered(decision === 'approve', words);
    else if (status === 404 || status === 409) await load();
    else setNotice('Your answer did not get through. Try again.');
  };

  if (asked === undefined) return <section className="call asking">{notice === '' ? 'A question …' : notice}</section>;
  if (asked === 'unknown')
    return (
      <Over
        headline="This question is not open here."
        detail="Nobody can answer it, and nothing runs."
        onGoOn={() => onAnswered(false, 'the question is gone')}
      />
    );
  switch (asked.state) {
    case 'pending':
      return (
        <section className="call asking" aria-label="The assistant asks">
          <h2>
            May it use <code>{visible(asked.tool)}</code>?
          </h2>
          {asked.reason !== '' && <p>{visible(asked.reason)}</p>}
          <pre>{textOf(asked.shown)}</pre>
          <p className="quiet">
            Open until <time dateTime={new Date(asked.expiresAtMs).toISOString()}>{new Date(asked.expiresAtMs).toLocaleTimeString()}</time>.
            It runs once.
          </p>
          <label>
            A word with your answer
            <input id="answer-message" maxLength={300} value={message} onChange={({ target }) => setMessage(target.value)} />
          </label>
          <div className="answers">
            <button type="button" className="primary approve" onClick={() => void answer('approve')}>
              Approve
            </button>
            <button type="button" className="deny" onClick={() => void answer('deny')}>
              Deny
            </button>
          </div>
          <p role="alert">{notice}</p>
        </section>
      );
    case 'denied':
      return <Over headline="It was denied already." detail={asked.message ?? ''} onGoOn={() => onAnswered(false, asked.message)} />;
    case 'approved':
    case 'consumed':
      // What it brought is in the server; asking for it again runs nothing.
      return <Over headline="It was approved already." detail="" onGoOn={() => onAnswered(true)} />;
    default:
      return (
        <Over
          headline={asked.state === 'expired' ? 'Nobody answered in time.' : 'This question is over.'}
          detail="It did not run. Ask again if you want it."
          onGoOn={() => onAnswered(false, 'nobody answered in time')}
        />
      );
  }
}

function Over({ headline, detail, onGoOn }: { readonly headline: string; readonly detail: string; readonly onGoOn: () => void }) {
  return (
    <section className="call denied over">
      <h2>{headline}</h2>
      {detail !== '' && <p>{visible(detail)}</p>}
      <button type="button" className="go-on" onClick={onGoOn}>
        Go on
      </button>
    </section>
  );
}

/** The longest time a timer of the browser takes. */
const MAX_WAIT_MS = 2_147_483_647;

/** The descriptor lies in the chat, which anybody may have written: an id and nothing else. */
function approvalIdOf(descriptor: unknown): string | undefined {
  const id = typeof descriptor === 'object' && descriptor !== null && 'approvalId' in descriptor ? descriptor.approvalId : undefined;
  return typeof id === 'string' ? id : undefined;
}

function askedOf(body: Readonly<Record<string, unknown>>): Asked {
  const { tool, shown, reason, state, message, expiresAtMs } = body;
  return {
    tool: String(tool),
    shown,
    reason: typeof reason === 'string' ? reason : '',
    state: String(state),
    message: typeof message === 'string' ? message : undefined,
    expiresAtMs: Number(expiresAtMs),
  };
}
