import { isToolName } from '../client-message.ts';
import { isObject, member } from '../message.ts';
import { MAX_TOOLS } from '../tool-directory.ts';
import { SchemaDocument, Unchecked } from './document.ts';

/** A schema that results can be held against, or why they cannot. */
export type OutputSchema = SchemaDocument | { readonly fault: string };

/** What a server last declared the results of its tools to be. */
export class OutputSchemas {
  readonly #schemas = new Map<string, OutputSchema>();

  /** Takes in the `result` of a `tools/list` response; ignores what has not its shape. */
  learn(result: unknown): void {
    const tools = isObject(result) ? member(result, 'tools') : undefined;
    if (!Array.isArray(tools)) return;
    for (const tool of tools as readonly unknown[]) {
      const name = isObject(tool) ? member(tool, 'name') : undefined;
      if (!isObject(tool) || typeof name !== 'string' || !isToolName(name)) continue;
      const schema = member(tool, 'outputSchema');
      if (schema === undefined) this.#schemas.delete(name);
      else if (this.#schemas.size < MAX_TOOLS || this.#schemas.has(name)) this.#schemas.set(name, read(schema));
    }
  }

  get(name: string): OutputSchema | undefined {
    return this.#schemas.get(name);
  }
}

function read(schema: unknown): OutputSchema {
  try {
    return new SchemaDocument(schema);
  } catch (error) {
    return { fault: error instanceof Unchecked ? error.message : 'the outputSchema cannot be used' };
  }
}
