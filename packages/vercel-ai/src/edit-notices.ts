/** Tells the model beside the result that a person edited its call: otherwise it believes that what it asked for has run. */
interface Given {
  readonly toolCallId: string;
  readonly input: unknown;
  readonly output: unknown;
}

type ModelOutput = { readonly type: string; readonly value?: unknown };

/**
 * By the very input object of the call, which the SDK hands to `execute` and then to `toModelOutput`: ids come from models
 * and may repeat, and nobody may read of another's edit. A history that a client sends back is told without the notice; the
 * model has answered to it by then.
 */
export class EditNotices {
  readonly #notices = new WeakMap<object, string>();

  add(input: unknown, notice: string | undefined): void {
    if (notice !== undefined && typeof input === 'object' && input !== null) this.#notices.set(input, notice);
  }

  /** The tool's own `toModelOutput`, or what the SDK does without one, with the notice in front. */
  modelOutputOf(tool: object): (given: Given) => Promise<ModelOutput> {
    return async (given) => {
      const own: unknown = Reflect.get(tool, 'toModelOutput');
      const output = typeof own === 'function' ? ((await Reflect.apply(own, tool, [given])) as ModelOutput) : plain(given.output);
      const { input } = given;
      const notice = typeof input === 'object' && input !== null ? this.#notices.get(input) : undefined;
      return notice === undefined ? output : withNotice(notice, output);
    };
  }
}

/** What the SDK makes of the output of a tool without `toModelOutput`. */
function plain(output: unknown): ModelOutput {
  if (typeof output === 'string') return { type: 'text', value: output };
  const text = JSON.stringify(output) as string | undefined;
  return { type: 'json', value: text === undefined ? null : (JSON.parse(text) as unknown) };
}

/** JSON becomes a text: every provider takes one. */
function withNotice(notice: string, output: ModelOutput): ModelOutput {
  const { type, value } = output;
  switch (type) {
    case 'text':
    case 'error-text':
      return { ...output, value: `${notice}\n${String(value)}` };
    case 'json':
    case 'error-json':
      return { ...output, type: type === 'json' ? 'text' : 'error-text', value: `${notice}\n${JSON.stringify(value)}` };
    case 'content':
      return Array.isArray(value) ? { ...output, value: [{ type: 'text', text: notice }, ...(value as unknown[])] } : output;
    default:
      return output;
  }
}
