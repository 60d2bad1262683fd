/**
 * The hooks of Claude Code in its settings: put in, and taken out again. Of the file every other byte stays.
 *
 *     "hooks": { "PreToolUse": [{ "matcher": "*", "hooks": [
 *       { "type": "command", "command": "'/…/node' '/…/main.js' hook claude-code --config '/…' || exit 2", "timeout": 600, "onFailure": "block" }] }], … }
 *
 * An entry is ours when it runs `hook claude-code` of this program and ends with `|| exit 2`; one that somebody changed is not.
 */
import { type JSONPath, parse } from 'jsonc-parser';
import { FileRefusedError } from '../failure.ts';
import { HOOK_EVENTS } from '../hook/event.ts';
import { editJson, parseJson } from './json-edit.ts';
import type { Program } from './program.ts';

/** What Claude Code gives a hook unless it is told otherwise; ours ends long before. */
const TIMEOUT_SECONDS = 600;
const OURS = /(?:^|[\\/'" ])(?:main\.[jt]s'?|countersign) hook claude-code(?: .*)? \|\| exit 2$/;

export interface HookTexts {
  readonly path: string;
  readonly text: string;
}

/** The command line of a shell. @param config - absolute. */
export function hookCommand({ node, args }: Program, config: string): string {
  return `${[node, ...args].map(quoted).join(' ')} hook claude-code --config ${quoted(config)} || exit 2`;
}

/** @returns the text with each event naming this command once. @throws {FileRefusedError} for settings of another shape. */
export function withHooks({ path, text }: HookTexts, command: string): string {
  let edited = withoutStale({ path, text }, command);
  for (const event of HOOK_EVENTS) {
    const places = oursIn({ path, text: edited }, event);
    if (places.length > 0) continue;
    const groups = groupsOf({ path, text: edited }, event);
    const blocks = event === 'PreToolUse' ? { timeout: TIMEOUT_SECONDS, onFailure: 'block' } : {};
    const group = { matcher: '*', hooks: [{ type: 'command', command, ...blocks }] };
    edited = groups === undefined ? editJson(edited, ['hooks', event], [group]) : editJson(edited, ['hooks', event, groups.length], group);
  }
  return edited;
}

/** @returns the text without any entry of ours, and without what would be empty then. */
export function withoutHooks(given: HookTexts): string {
  let { text } = given;
  for (const event of HOOK_EVENTS) {
    // From the end: places before stay where they are.
    for (const place of oursIn({ ...given, text }, event).toReversed()) text = without({ ...given, text }, event, place);
  }
  return text;
}

/** Configurations of the hooks of ours in these settings, as their commands name them. */
export function hookConfigs(given: HookTexts): readonly string[] {
  const commands = HOOK_EVENTS.flatMap((event) => oursIn(given, event)).map(({ command }) => command);
  return commands.flatMap((command) => {
    const word = /--config ('(?:[^']|'\\'')*'|\S+)/.exec(command)?.[1];
    return word === undefined ? [] : [word.startsWith("'") ? word.slice(1, -1).replaceAll(String.raw`'\''`, "'") : word];
  });
}

/** Whether an event names our hook. */
export function hasHooks(given: HookTexts): boolean {
  return HOOK_EVENTS.some((event) => oursIn(given, event).length > 0);
}

/** Whether the file switches all hooks off. */
export function switchesHooksOff({ text }: HookTexts): boolean {
  return member(settingsOf(text), 'disableAllHooks') === true;
}

interface Place {
  readonly group: number;
  readonly entry: number;
  readonly command: string;
}

function withoutStale(given: HookTexts, command: string): string {
  const isCurrent = HOOK_EVENTS.every((event) => {
    const places = oursIn(given, event);
    return places.length === 0 || (places.length === 1 && places[0]?.command === command);
  });
  return isCurrent ? given.text : withoutHooks(given);
}

function without({ path, text }: HookTexts, event: string, { group, entry }: Place): string {
  const groups = groupsOf({ path, text }, event) ?? [];
  const entries = member(groups[group], 'hooks');
  const at = (...rest: JSONPath): string => editJson(text, ['hooks', ...rest], undefined);
  if (Array.isArray(entries) && entries.length > 1) return at(event, group, 'hooks', entry);
  if (groups.length > 1) return at(event, group);
  const hooks = member(settingsOf(text), 'hooks');
  return typeof hooks === 'object' && hooks !== null && Object.keys(hooks).length > 1 ? at(event) : editJson(text, ['hooks'], undefined);
}

function oursIn(given: HookTexts, event: string): readonly Place[] {
  return (groupsOf(given, event) ?? []).flatMap((value, group) => {
    const entries = member(value, 'hooks');
    if (!Array.isArray(entries)) return [];
    return entries.flatMap((hook: unknown, entry): readonly Place[] => {
      const command = member(hook, 'command');
      return typeof command === 'string' && OURS.test(command) ? [{ group, entry, command }] : [];
    });
  });
}

function groupsOf({ path, text }: HookTexts, event: string): readonly unknown[] | undefined {
  if (text.trim() === '') return undefined;
  parseJson(text, path);
  const settings = settingsOf(text);
  const hooks = member(settings, 'hooks');
  const groups = member(hooks, event);
  const isObject = typeof settings === 'object' && settings !== null && !Array.isArray(settings);
  if (
    !isObject ||
    (hooks !== undefined && (typeof hooks !== 'object' || hooks === null || Array.isArray(hooks))) ||
    (groups !== undefined && !Array.isArray(groups))
  )
    throw new FileRefusedError(`${path} holds settings of another shape than Claude Code reads`, 'correct the file; nothing was changed');
  return groups;
}

function settingsOf(text: string): unknown {
  return parse(text, [], { allowTrailingComma: true });
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

/** For a POSIX shell, which is what Claude Code runs hooks with. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
