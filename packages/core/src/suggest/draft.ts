/** The text of a suggested policy. Names in it come from agents and servers: each is written as JSON, which YAML reads as text. */
import { NAME_SHAPE } from '../policy/rule-definition.ts';
import { conditionFor } from './constraints.ts';
import type { ObservedTool } from './observed.ts';

const MAX_ID_CHARS = 48;
/** A line of comment or condition that is longer is left to the editor. */
const MAX_ALARMS_TOLD = 3;

export interface DraftFacts {
  readonly calls: number;
  readonly unread: ReadonlyMap<string, number>;
  readonly leftOut: number;
}

export function draftText(id: string, tools: readonly ObservedTool[], { calls, unread, leftOut }: DraftFacts): string {
  const ids = new Set<string>();
  const lines = [
    `# A draft from ${calls} calls of ${tools.length} tools that ran. It allows what was seen, which is not what should be:`,
    '# read it, cut it, and ask `countersign policy replay --policy` what it would have done.',
    ...[...unread].map(([why, count]) => `# ${count} calls were not looked at: ${why}`),
    ...(leftOut > 0 ? [`# ${leftOut} calls of tools that no pattern can name, or of too many tools, were left out.`] : []),
    `id: ${JSON.stringify(id)}`,
    'default: deny',
    tools.length === 0 ? 'rules: []' : 'rules:',
    ...tools.flatMap((tool) => ['', ...ruleLines(tool, ids)]),
  ];
  return `${lines.join('\n')}\n`;
}

function ruleLines(tool: ObservedTool, ids: Set<string>): readonly string[] {
  const { server, name } = tool.tool;
  const pattern = JSON.stringify(server === undefined ? name : `${server}/${name}`);
  const why = reasonToAsk(tool);
  const condition = why === undefined ? conditionFor(tool) : undefined;
  return [
    `  # ${tool.count} ${tool.count === 1 ? 'call' : 'calls'}${tool.examples.length === 0 ? '' : `, such as entry ${tool.examples.join(', ')}`}`,
    ...commentsOn(tool),
    `  - id: ${ruleId(tool, ids)}`,
    `    tools: [${pattern}]`,
    ...(condition === undefined ? [] : [`    when: ${JSON.stringify(condition)}`]),
    ...(why === undefined ? ['    effect: allow'] : ['    effect: require_approval', `    reason: ${JSON.stringify(why)}`]),
  ];
}

function reasonToAsk({ alarms, annotations }: ObservedTool): string | undefined {
  if (alarms.size > 0) return 'calls like this one looked like an attack to the baseline';
  if (annotations.destructiveHint === true) return 'its author says that it can destroy';
  return annotations.openWorldHint === true ? 'its author says that it reaches out into the world' : undefined;
}

function commentsOn({ alarms, args }: ObservedTool): readonly string[] {
  const told = [...alarms]
    .slice(0, MAX_ALARMS_TOLD)
    .map(([rule, count]) => `  # the baseline would have stopped ${count}: ${JSON.stringify(rule)}`);
  const secret = [...args].filter(([, { hasSecrets }]) => hasSecrets).map(([key]) => key);
  return [...told, ...(secret.length > 0 ? [`  # nothing is said of ${JSON.stringify(secret)}: secrets stood there`] : [])];
}

function ruleId({ tool: { server = '', name } }: ObservedTool, ids: Set<string>): string {
  const plain = `${server}-${name}`
    .replaceAll(/[^A-Za-z0-9._:-]+/g, '-')
    .replaceAll(/^[^A-Za-z0-9]+/g, '')
    .slice(0, MAX_ID_CHARS);
  const base = NAME_SHAPE.test(plain) ? plain : 'tool';
  let id = base;
  for (let number = 2; ids.has(id); number++) id = `${base}-${number}`;
  ids.add(id);
  // Digits alone would be read as a number.
  return JSON.stringify(id);
}
