/**
 * What the configuration says of results, beside the rules of the policy: how large they may be, that they are what their tool
 * declares, and that they come from the open world. A result is released with what is found here, so the outcome says it.
 */
import type { Config, Outcome, Permit, ReleaseOptions, ToolRef } from '@countersign/core';
import { isObject, member } from './message.ts';
import { checkOutput } from './output/check.ts';
import type { SchemaDocument } from './output/document.ts';
import { type OutputSchema, OutputSchemas } from './output/schemas.ts';

type Verdict = NonNullable<ReleaseOptions['also']>[number];

export class ResultChecks {
  readonly #maxBytes: number | undefined;
  readonly #checksOutput: boolean;
  readonly #openWorldLabels: readonly string[];
  readonly #log: (text: string) => void;
  readonly #schemas = new OutputSchemas();
  readonly #noted = new WeakSet<SchemaDocument>();

  constructor(mcp: Partial<Config['mcp']>, log: (text: string) => void) {
    this.#maxBytes = mcp.maxResultBytes;
    this.#checksOutput = mcp.checkOutput ?? false;
    this.#openWorldLabels = mcp.openWorldLabels ?? [];
    this.#log = log;
  }

  /** Takes in the `result` of a `tools/list` response. */
  learn(result: unknown): void {
    if (this.#checksOutput) this.#schemas.learn(result);
  }

  /**
   * The permit with these checks in its `release`. What is declared of the tool now counts, whatever the server declares meanwhile.
   *
   * @returns the very same permit where there is nothing to check.
   */
  around(permit: Permit, tool: ToolRef): Permit {
    const schema = this.#schemas.get(tool.name);
    // Absent means true: a tool says of itself that it is closed.
    const labels = tool.annotations?.openWorldHint === false ? [] : this.#openWorldLabels;
    if (schema === undefined && labels.length === 0 && this.#maxBytes === undefined) return permit;
    const also = (outcome: Outcome): readonly Verdict[] => [
      ...(labels.length === 0 ? [] : [{ action: 'label', labels } as const]),
      ...this.#ofSize(outcome),
      ...(schema === undefined ? [] : this.#ofOutput(outcome, schema, tool.name)),
    ];
    return { ...permit, holdsResult: true, release: (outcome, options) => permit.release(outcome, { ...options, also: also(outcome) }) };
  }

  #ofSize({ result, error }: Outcome): readonly Verdict[] {
    const max = this.#maxBytes;
    if (max === undefined) return [];
    const sizeBytes = Buffer.byteLength(JSON.stringify(error ?? result) ?? '');
    if (sizeBytes <= max) return [];
    const message = `It has ${sizeBytes} bytes, and at most ${max} are passed on (mcp.max_result): ask for less.`;
    return [{ action: 'truncate', maxChars: max, maxBytes: max, reasonCode: 'RESULT_TOO_LARGE', message }];
  }

  /** An error owes nothing, and what asks for something first is no result yet. */
  #ofOutput({ status, result }: Outcome, schema: OutputSchema, tool: string): readonly Verdict[] {
    if (status !== 'success' || !isObject(result)) return [];
    const type = member(result, 'resultType');
    if (type !== undefined && type !== 'complete') return [];
    if ('fault' in schema) return [this.#unchecked(schema.fault, tool)];
    if (!Object.hasOwn(result, 'structuredContent')) return [mismatch('It has no structuredContent, which the tool declares.')];
    const check = checkOutput(schema, result['structuredContent']);
    this.#note(schema, tool);
    if (check.kind === 'fits') return [];
    return [check.kind === 'differs' ? mismatch(`${check.what}.`) : this.#unchecked(check.why, tool)];
  }

  #unchecked(why: string, tool: string): Verdict {
    this.#log(`the result of ${JSON.stringify(tool)} could not be checked: ${why}`);
    return { action: 'withhold', reasonCode: 'RESULT_NOT_CHECKED', message: `${why}.` };
  }

  #note(schema: SchemaDocument, tool: string): void {
    if (this.#noted.has(schema) || schema.notes.length === 0) return;
    this.#noted.add(schema);
    for (const note of schema.notes) this.#log(`outputSchema of ${JSON.stringify(tool)}: ${note}`);
  }
}

function mismatch(message: string): Verdict {
  return { action: 'withhold', reasonCode: 'RESULT_SCHEMA_MISMATCH', message };
}
