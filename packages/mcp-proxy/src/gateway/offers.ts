/** What several servers offer, as the offer of one. */
import { isObject, type JsonObject, member } from '../message.ts';
import type { Offer } from './member.ts';

/** Lists that change when a server comes or goes, whatever the servers say. */
const LISTS = ['tools', 'prompts', 'resources'] as const;
const PLAIN = ['logging', 'completions'] as const;
/** Extensions whose messages a gateway can tell whom they are for. Others are not offered: nobody could use them. */
const EXTENSIONS: ReadonlySet<string> = new Set(['io.modelcontextprotocol/tasks', 'io.modelcontextprotocol/ui']);
const MAX_INSTRUCTIONS_CHARS = 65_536;

/**
 * @param isWhole - every server is known; otherwise the lists are offered for those that may still come.
 */
export function mergedCapabilities(offers: readonly Offer[], isWhole: boolean): JsonObject {
  const of = (name: string): readonly JsonObject[] => offers.map(({ capabilities }) => member(capabilities, name)).filter(isObject);
  const merged: [string, unknown][] = [];
  for (const name of LISTS) {
    const offered = of(name);
    if (offered.length === 0 && isWhole) continue;
    const canSubscribe = name === 'resources' && offered.some((each) => member(each, 'subscribe') === true);
    merged.push([name, { listChanged: true, ...(canSubscribe && { subscribe: true }) }]);
  }
  for (const name of PLAIN) if (of(name).length > 0) merged.push([name, {}]);
  // Whether a tool may run as a task stands with the tool.
  const tasks = of('tasks');
  if (tasks.length > 0)
    merged.push(['tasks', { ...presence(tasks, 'list'), ...presence(tasks, 'cancel'), requests: { tools: { call: {} } } }]);
  const extensions = of('extensions').flatMap((each) => Object.entries(each).filter(([name]) => EXTENSIONS.has(name)));
  if (extensions.length > 0) merged.push(['extensions', Object.fromEntries(extensions)]);
  return Object.fromEntries(merged);
}

function presence(objects: readonly JsonObject[], name: string): JsonObject {
  return objects.some((each) => isObject(member(each, name))) ? { [name]: {} } : {};
}

/** Says which servers there are, in our words, and then what each says about itself, in its own. */
export function mergedInstructions(servers: readonly { readonly name: string; readonly instructions?: string | undefined }[]): string {
  const names = servers.map(({ name }) => name).join(', ');
  const own = servers.flatMap(({ name, instructions }) =>
    instructions === undefined || instructions.trim() === '' ? [] : [`\n\nServer ${name} says:\n${quoted(instructions)}`],
  );
  const intro = `Several servers answer here: ${names}. A tool or prompt is called <server>__<name>, a resource countersign:<server>:<uri>.`;
  return (intro + own.join('')).slice(0, MAX_INSTRUCTIONS_CHARS);
}

/** No server can go on in the name of another one, or in ours. */
function quoted(text: string): string {
  return text
    .split(/\r\n|[\n\r\u0085\u2028\u2029]/)
    .map((line) => `> ${line}`)
    .join('\n');
}

/** The version that all speak, or the oldest of theirs. Versions are dates. */
export function oldestVersion(versions: readonly string[]): string | undefined {
  return versions.filter((version) => /^\d{4}-\d{2}-\d{2}$/.test(version)).toSorted()[0];
}

/** Whether a server has what a method is about. */
export function offersList(offer: Offer, list: string): boolean {
  return isObject(member(offer.capabilities, list));
}
