/**
 * Scope files: our own (`scope:` at the top, as in `countersign.yaml`), and the two forms of the predecessor.
 *
 * Nested: `filesystem`, `network`, `process`, `behavior` and `agent` at the top. Flat: `mode`, `allow_read`, `deny_write`,
 * `deny_exec`, `flag_threshold`, `flag_window`, `halt_threshold`. The predecessor shipped the flat form, but read the nested one
 * only, so that a flat file enforced nothing there; here it means what it says. It also passed over every key it did not know. Here
 * such a key is a warning; one that looks like a known key mistyped is an error, because a rule that silently does not hold is a hole.
 */
import * as z from 'zod';
import { MAX_CONFIG_CHARS, type Path, type Problem, readYaml, type YamlText } from './document.ts';
import { nearest } from './nearest.ts';
import { problemsError, schemaProblems, shownKey } from './problems.ts';
import { readRegularText } from './regular-file.ts';
import {
  SCOPE_MODES,
  type ScopeDocument,
  scopeCount,
  scopePatterns,
  scopePorts,
  scopeSchema,
  scopeSeconds,
  scopeTexts,
} from './scope-schema.ts';

export type ScopeForm = 'countersign' | 'nested' | 'flat';

export interface ScopeText {
  readonly form: ScopeForm;
  readonly document: ScopeDocument;
  /** Name of the agent in the predecessor's nested form. */
  readonly agent?: string;
  /** What was passed over, one sentence each, with line and column. */
  readonly warnings: readonly string[];
}

const FLAT_MODES = { audit: 'audit_only', confirm: 'flag_and_hold', enforce: 'enforce_kill' } as const;

/**
 * Reads a scope from the text of a file, in whichever of the three forms it is.
 *
 * @param name - the file, for messages.
 * @throws {CountersignError} `SCOPE_INVALID`, its message listing every problem with line and column.
 */
export function parseScopeText(source: string, name = 'scope'): ScopeText {
  const yaml = readYaml(source);
  const refuse = (problems: readonly Problem[]): never => {
    throw problemsError('SCOPE_INVALID', name, problems);
  };
  if (yaml.problems.length > 0) return refuse(yaml.problems);
  // Nothing at all is a scope to the predecessor: nothing allowed, nothing forbidden.
  const value = yaml.value ?? {};
  if (!isRecord(value)) return refuse([{ path: [], message: 'a scope is a list of keys with values', line: 1, column: 1 }]);
  const form = formOf(value);
  if (form === 'countersign') return ownForm(value, yaml, refuse);
  return form === 'flat' ? flatForm(value, yaml, refuse) : nestedForm(value, yaml, refuse);
}

/** @throws {CountersignError} `CONFIG_NOT_FOUND`, `SCOPE_INVALID` for a file that cannot be read, is too large or no text. */
export function readScopeText(path: string): string {
  return readRegularText(path, { maxBytes: MAX_CONFIG_CHARS, notFound: 'no scope file there', invalid: 'SCOPE_INVALID' });
}

const listed = <Schema extends z.ZodType>(schema: Schema): z.ZodOptional<Schema> => schema.optional();

const nestedSchema = z.object({
  agent: z.object({ name: z.string().max(200).nullable().optional(), pid: z.int().nullable().optional() }).optional(),
  filesystem: z
    .object({ allowed_paths: listed(scopePatterns), forbidden_paths: listed(scopePatterns), forbidden_extensions: listed(scopeTexts) })
    .optional(),
  network: z
    .object({ allowed_domains: listed(scopeTexts), forbidden_domains: listed(scopeTexts), allowed_ports: listed(scopePorts) })
    .optional(),
  process: z.object({ allowed_commands: listed(scopeTexts), forbidden_commands: listed(scopeTexts) }).optional(),
  behavior: z
    .object({
      mode: listed(z.enum(SCOPE_MODES)),
      flag_threshold: listed(scopeCount),
      flag_window: listed(scopeSeconds),
      halt_threshold: listed(scopeCount),
      max_actions_per_minute: listed(scopeCount),
    })
    .optional(),
});

const flatSchema = z.object({
  mode: z.enum([...Object.keys(FLAT_MODES), ...SCOPE_MODES]).optional(),
  allow_read: listed(scopePatterns),
  deny_write: listed(scopePatterns),
  deny_exec: listed(scopeTexts),
  flag_threshold: listed(scopeCount),
  flag_window: listed(scopeSeconds),
  halt_threshold: listed(scopeCount),
});

const FLAT_KEYS: readonly string[] = Object.keys(flatSchema.shape);
const NESTED_KEYS: readonly string[] = Object.keys(nestedSchema.shape);
/** What a file that holds more than a scope begins with. */
const CONFIG_KEY = 'version';

type Refuse = (problems: readonly Problem[]) => never;
type Keys = Readonly<Record<string, unknown>>;

function formOf(value: Keys): ScopeForm {
  if (Object.hasOwn(value, 'scope') || Object.hasOwn(value, CONFIG_KEY)) return 'countersign';
  return FLAT_KEYS.some((key) => Object.hasOwn(value, key)) ? 'flat' : 'nested';
}

function ownForm(value: Keys, yaml: YamlText, refuse: Refuse): ScopeText {
  // A whole `countersign.yaml` is checked by whoever loads it as such; here only its scope counts.
  const others = Object.hasOwn(value, CONFIG_KEY) ? [] : Object.keys(value).filter((key) => key !== 'scope');
  const parsed = z.object({ scope: scopeSchema.optional() }).safeParse(value);
  const problems = others.map((key) => ({
    path: [key],
    message: `unknown key ${shownKey(key)}: beside scope nothing else stands in a scope file`,
    ...yaml.keyPlace([key]),
  }));
  if (!parsed.success) return refuse([...problems, ...found(parsed.error, yaml, z.object({ scope: scopeSchema }))]);
  if (problems.length > 0) return refuse(problems);
  return { form: 'countersign', document: parsed.data.scope ?? {}, warnings: [] };
}

function nestedForm(value: Keys, yaml: YamlText, refuse: Refuse): ScopeText {
  const { problems, warnings } = unknownKeys(value, nestedSchema, yaml);
  const parsed = nestedSchema.safeParse(value);
  if (!parsed.success) return refuse([...problems, ...found(parsed.error, yaml, nestedSchema)]);
  if (problems.length > 0) return refuse(problems);
  const { agent, ...document } = parsed.data;
  const name = agent?.name ?? undefined;
  return { form: 'nested', document, ...(name !== undefined && { agent: name }), warnings: [...warnings, ...idlePatterns(document, yaml)] };
}

function flatForm(value: Keys, yaml: YamlText, refuse: Refuse): ScopeText {
  const mixed = NESTED_KEYS.filter((key) => Object.hasOwn(value, key)).map((key) => ({
    path: [key],
    message: `${shownKey(key)} is of the nested form, other keys of this file are of the flat form: write one of them`,
    ...yaml.keyPlace([key]),
  }));
  const { problems, warnings } = unknownKeys(value, flatSchema, yaml, NESTED_KEYS);
  const parsed = flatSchema.safeParse(value);
  if (!parsed.success) return refuse([...mixed, ...problems, ...found(parsed.error, yaml, flatSchema)]);
  if (mixed.length + problems.length > 0) return refuse([...mixed, ...problems]);
  const { mode, allow_read, deny_write, deny_exec, ...thresholds } = parsed.data;
  return {
    form: 'flat',
    document: {
      filesystem: { allowed_paths: allow_read, forbidden_writes: deny_write },
      process: { forbidden_commands: deny_exec },
      behavior: { ...thresholds, mode: mode === undefined ? undefined : flatMode(mode) },
    },
    warnings: ['the predecessor loaded this flat form without enforcing it; here it is enforced', ...warnings],
  };
}

function flatMode(mode: string): (typeof SCOPE_MODES)[number] | undefined {
  return SCOPE_MODES.find((known) => known === mode) ?? new Map(Object.entries(FLAT_MODES)).get(mode);
}

function found(error: z.ZodError, yaml: YamlText, root: unknown): readonly Problem[] {
  return error.issues.flatMap((issue) => schemaProblems(issue, yaml, root));
}

/** Keys the predecessor passed over: mistyped ones are problems, the others warnings. */
function unknownKeys(
  value: Keys,
  schema: z.ZodObject,
  yaml: YamlText,
  besides: readonly string[] = [],
): { readonly problems: readonly Problem[]; readonly warnings: readonly string[] } {
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const look = (record: Keys, shape: Keys, path: Path): void => {
    const known = Object.keys(shape);
    for (const [key, inner] of Object.entries(record)) {
      const member = new Map(Object.entries(shape)).get(key);
      if (member !== undefined) {
        const part = member instanceof z.ZodOptional ? member.unwrap() : member;
        if (part instanceof z.ZodObject && isRecord(inner)) look(inner, part.shape, [...path, key]);
      } else if (!besides.includes(key)) judgeKey(key, [...path, key], known);
    }
  };
  const judgeKey = (key: string, path: Path, known: readonly string[]): void => {
    const near = nearest(key, known);
    const place = yaml.keyPlace(path);
    if (near !== undefined)
      problems.push({ path, message: `unknown key ${shownKey(key)}, did you mean ${JSON.stringify(near)}?`, ...place });
    else if (warnings.length < MAX_WARNINGS)
      warnings.push(`${place.line}:${place.column} unknown key ${shownKey(key, MAX_SHOWN)}: passed over, as the predecessor did`);
  };
  look(value, schema.shape, []);
  return { problems, warnings };
}
const MAX_WARNINGS = 50;
const MAX_SHOWN = 64;

/** Patterns that match no absolute path, there as here. */
function idlePatterns({ filesystem = {} }: ScopeDocument, yaml: YamlText): readonly string[] {
  return (['allowed_paths', 'forbidden_paths'] as const).flatMap((key) =>
    (filesystem[key] ?? []).flatMap((text, index) => {
      if (/^[/~*?[]/.test(text)) return [];
      const { line, column } = yaml.place(['filesystem', key, index]);
      return [
        `${line}:${column} ${JSON.stringify(text.slice(0, MAX_SHOWN))} matches nothing: paths are compared whole, begin it with / or ~`,
      ];
    }),
  );
}

function isRecord(value: unknown): value is Keys {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
