/** What became of one tool call, in plain words. Everything in it comes from a model, a tool or a history: it is shown as text. */
import { type DynamicToolUIPart, getToolName, type ToolUIPart } from 'ai';
import { Approval } from './approval.tsx';
import { textOf } from './text.ts';

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
  const { kind, headline, detail } = told(part);
  return (
    <section className={`call ${kind}`} data-state={state}>
      <h2>
        {headline} <code>{getToolName(part)}</code>
      </h2>
      {detail !== '' && <pre>{detail}</pre>}
    </section>
  );
}

interface Told {
  readonly kind: 'working' | 'done' | 'denied' | 'withheld' | 'failed';
  readonly headline: string;
  readonly detail: string;
}

function told(part: Part): Told {
  switch (part.state) {
    case 'input-streaming':
    case 'input-available':
    case 'approval-requested':
      return { kind: 'working', headline: 'Working:', detail: '' };
    case 'approval-responded':
      return part.approval.approved
        ? { kind: 'working', headline: 'Approved, working:', detail: '' }
        : { kind: 'denied', headline: 'Denied:', detail: reasonOf(part.approval.reason ?? '') };
    case 'output-available':
      return { kind: 'done', headline: 'Done:', detail: textOf(part.output) };
    case 'output-denied':
      return { kind: 'denied', headline: 'Denied:', detail: reasonOf(part.approval.reason ?? 'You said no. It did not run.') };
    case 'output-error':
      return failure(part.errorText);
  }
}

function failure(errorText: string): Told {
  // The SDK puts the name of the error's class in front.
  const text = errorText.replace(/^(?:CallRefused|Countersign)Error: /, '');
  if (REFUSED.test(text)) return { kind: 'denied', headline: 'Did not run:', detail: reasonOf(text) };
  if (text.startsWith('[result withheld'))
    return { kind: 'withheld', headline: 'It ran, and its result is withheld:', detail: text.slice(1, -1) };
  return { kind: 'failed', headline: 'Did not work:', detail: text };
}

/** As the guard writes refusals: `call refused: reason [CODE, rule id]`. */
const REFUSED = /^call refused(?:: ([^]*?))? \[([A-Z0-9_]+)(?:, rule ([^\]]+))?\]$/;

function reasonOf(text: string): string {
  const [, reason, code, rule] = REFUSED.exec(text) ?? [];
  if (code === undefined) return text;
  return `${reason ?? 'it is not allowed'}\n${code}${rule === undefined ? '' : `, rule ${rule}`}`;
}
