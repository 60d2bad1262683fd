/** Arguments of tools that have a JSON schema, checked as LangChain's own `call` does. */
import { Validator } from '@langchain/core/utils/json_schema';

const VALIDATORS = new WeakMap<object, Validator>();

/** What is wrong with the arguments; undefined when they fit. A schema that cannot be used fits nothing, as in LangChain. */
export function jsonSchemaProblem(schema: object, args: unknown): string | undefined {
  try {
    let validator = VALIDATORS.get(schema);
    if (validator === undefined) VALIDATORS.set(schema, (validator = new Validator(schema)));
    const { valid, errors } = validator.validate(args);
    if (valid) return undefined;
    // The first names the outermost place, the last the innermost. Neither quotes an argument's value, but an enum does.
    const innermost = errors.at(-1);
    return innermost === undefined ? 'the schema refused them' : `${innermost.instanceLocation}: ${keywordOf(innermost.keywordLocation)}`;
  } catch {
    return 'the schema of the tool could not be used to check them';
  }
}

function keywordOf(location: string): string {
  return `the schema refused it (${location.slice(location.lastIndexOf('/') + 1)})`;
}
