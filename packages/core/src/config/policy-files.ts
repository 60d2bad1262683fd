/** Policies that lie in files the configuration names: Cedar, and signed bundles. */
import { type CedarPolicyOptions, cedarPolicy } from '../cedar/index.ts';
import { CountersignError } from '../errors.ts';
import { MAX_NOTE_BYTES } from '../ledger/note.ts';
import { type BundleMember, type OpenedBundle, openBundle } from '../policy/bundle.ts';
import type { Policy } from '../policy/policy.ts';
import type { Look, Problem } from './document.ts';
import type { PolicyDocument } from './policy-schema.ts';
import { readRegularText } from './regular-file.ts';

type CedarMember = Extract<BundleMember, { readonly kind: 'cedar' }>;

export interface FilePolicies {
  /** Absolute, whether or not they could be read. */
  readonly files: readonly string[];
  readonly cedar?: { readonly policy: Policy; readonly member: CedarMember };
  readonly bundle?: OpenedBundle;
}

interface Reading {
  /** Makes a path absolute. */
  readonly place: (name: string) => string;
  /** Told of every file before it is read. */
  readonly onFile: (path: string) => void;
}

/** What stands beside a bundle was signed by nobody. */
const UNSIGNED = ['packs', 'version', 'default', 'rules', 'cedar'] as const;

/** What does not go together. */
export function policyFileProblems(policy: PolicyDocument, look: Look): readonly Problem[] {
  const { bundle, keys, threshold } = policy;
  const problems: Problem[] = [];
  if (keys !== undefined && bundle === undefined)
    problems.push(look(['policy', 'keys'], 'needs a bundle: with keys only what they signed decides, and these rules nobody signed'));
  if (bundle !== undefined && keys === undefined)
    problems.push(look(['policy', 'bundle'], 'needs keys: the verifier lines of those whose signature counts'));
  if (threshold !== undefined && threshold > (keys?.length ?? 0))
    problems.push(look(['policy', 'threshold'], 'is more than there are keys: it could never be reached'));
  if (bundle === undefined && keys === undefined) return problems;
  for (const key of UNSIGNED)
    if (policy[key] !== undefined)
      problems.push(look(['policy', key], 'stands beside a signed bundle and is not signed: put it into the bundle'));
  return problems;
}

/** @throws {CountersignError} `CONFIG_INVALID`, `CONFIG_NOT_FOUND`, `POLICY_BUNDLE_*`, `KEY_INVALID` */
export function readPolicyFiles(
  { id, version, default: fallback, rules, packs, cedar, bundle, keys = [], threshold }: PolicyDocument,
  reading: Reading,
): FilePolicies {
  const files: string[] = [];
  const read = (name: string): { readonly path: string; readonly text: string } => {
    const path = reading.place(name);
    files.push(path);
    reading.onFile(path);
    return {
      path,
      text: readRegularText(path, {
        maxBytes: MAX_NOTE_BYTES,
        notFound: 'not found; the configuration names it under policy',
        ignoreBOM: true,
      }),
    };
  };
  if (bundle !== undefined) {
    const trust = { keys, ...(threshold !== undefined && { threshold }), ...(id !== undefined && { id }) };
    return { bundle: openBundle(read(bundle).text, trust, Date.now()), files };
  }
  if (cedar === undefined) return { files };
  const named = id ?? 'cedar';
  const isAlone = rules === undefined && packs === undefined;
  const member: CedarMember = {
    kind: 'cedar',
    id: isAlone ? named : `${named}.cedar`,
    ...(version !== undefined && { version }),
    ...(fallback !== undefined && { default: fallback }),
    ...sorted(cedar.map((name) => ({ name, ...read(name) }))),
  };
  return { cedar: { policy: compiled(member), member }, files };
}

interface CedarFile {
  readonly name: string;
  readonly path: string;
  readonly text: string;
}

/** By what their names end in. */
function sorted(files: readonly CedarFile[]): Pick<CedarMember, 'policies' | 'schema' | 'entities'> {
  const schemas = files.filter(({ name }) => name.endsWith('.cedarschema'));
  const entities = files.filter(({ name }) => name.endsWith('.json'));
  const policies = files.filter((file) => !schemas.includes(file) && !entities.includes(file));
  if (schemas.length > 1) throw new CountersignError('CONFIG_INVALID', 'policy.cedar: one schema at most');
  const [schema] = schemas;
  return {
    // The name as it stands in the file: where the folder lies is no part of a policy.
    policies: policies.map(({ name, text }) => ({ where: name, text })),
    ...(schema !== undefined && { schema: schema.text }),
    ...(entities.length > 0 && { entities: entities.flatMap(entitiesIn) }),
  };
}

function entitiesIn({ name, text }: CedarFile): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CountersignError('CONFIG_INVALID', `policy.cedar: ${name} is no JSON`, { cause });
  }
  if (!Array.isArray(value)) throw new CountersignError('CONFIG_INVALID', `policy.cedar: ${name} must be a list of entities`);
  return value;
}

function compiled({ kind: _kind, version, default: fallback, schema, entities, ...rest }: CedarMember): Policy {
  const options: CedarPolicyOptions = {
    ...rest,
    ...(version !== undefined && { version }),
    ...(fallback !== undefined && { default: fallback }),
    ...(schema !== undefined && { schema }),
    ...(entities !== undefined && { entities }),
  };
  try {
    return cedarPolicy(options);
  } catch (cause) {
    if (!CountersignError.is(cause)) throw cause;
    throw new CountersignError('CONFIG_INVALID', `policy.cedar: ${cause.message}`, { cause, details: cause.details });
  }
}
