/** What became of one tool call, in plain words. Everything in it comes from a model, a tool or a history: it is shown as text. */
import { type DynamicToolUIPart, getToolName, type ToolUIPart } from 'ai';
import { Approval } from './approval.tsx';
import { textOf, visible } from './text.ts';

export interface Answer {
  /** The SDK's own id of the request. */
  readonly id: string;
  readonly approved: boolean;
  readonly reason?: string;
}

type Part = ToolUIPart | DynamicToolUIPart;

export function ToolCall({ part, onAnswered }: { readonly part: Part; readonly onAnswered: (answer: Answer) => void }) {
  const { state } = part;
  if (state === 'approval-requested' && part.approval.isAutomatic !== true)
    return (
      <Approval
        descriptor={part.approval.descriptor}
        onAnswered={(approved, reason) => onAnswered({ id: part.approval.id, approved, ...(reason !== undefined && { reason }) })}
      />
    );
  const { kind, headline, words, detail } = told(part);
  return (
    <section className={`call ${kind}`} data-state={state}>
      <h2>
        {headline} <code>{visible(getToolName(part))}</code>
      </h2>
      {words !== undefined && <p>{visible(words)}</p>}
      {detail !== undefined && <pre>{textOf(detail)}</pre>}
    </section>
  );
}

interface Told {
  readonly kind: 'working' | 'done' | 'denied' | 'withheld' | 'failed';
  readonly headline: string;
  readonly words?: string;
  readonly detail?: unknown;
}

function told(part: Part): Told {
  switch (part.state) {
    case 'input-streaming':
    case 'input-available':
    case 'approval-requested':
      return { kind: 'working', headline: 'Working:' };
    case 'approval-responded':
      return part.approval.approved
        ? { kind: 'working', headline: 'Approved, working:' }
        : { kind: 'denied', headline: 'Denied:', words: NOT_RUN, ...refusal(part.approval.reason) };
    case 'output-available':
      return { kind: 'done', headline: 'Done:', detail: part.output };
    case 'output-denied':
      return { kind: 'denied', headline: 'Denied:', words: NOT_RUN, ...refusal(part.approval.reason) };
    case 'output-error':
      return failure(part.errorText);
  }
}

const NOT_RUN = 'It did not run.';

function failure(errorText: string): Told {
  // The SDK puts the name of the error's class in front.
  const text = errorText.replace(/^(?:CallRefused|Countersign)Error: /, '');
  if (REFUSED.test(text)) return { kind: 'denied', headline: 'Did not run:', ...refusal(text) };
  const [, why, code] = WITHHELD.exec(text) ?? [];
  if (why !== undefined) return { kind: 'withheld', headline: 'It ran, and its result is withheld:', words: `${why} (${code})` };
  return { kind: 'failed', headline: 'Did not work:', detail: text };
}

/** As the guard words refusals: `call refused: reason [CODE, rule id]`. */
const REFUSED = /^call refused(?:: ([^]*?))? \[([A-Z0-9_]+)(?:, rule [^\]]+)?\]$/;
/** The rest of it is for the model. */
const WITHHELD = /^\[result withheld: ([^]*?) \[([A-Z0-9_]+)\]/;

function refusal(text: string | undefined): { readonly words?: string } {
  if (text === undefined) return {};
  const [, reason = 'it is not allowed', code] = REFUSED.exec(text) ?? [];
  return { words: code === undefined ? text : `${reason} (${code})` };
}
