/** What tools say of themselves. */
import type { Rule } from '../../policy/rule-definition.ts';
import { celList, celPattern, LOOKS } from '../words.ts';
import { asks } from './rule.ts';

const TELLS_MODEL = String.raw`(?i)ignore (?:all |any )?(?:previous|prior|above)|system prompt|do not (?:tell|mention|inform)|<important>|you must (?:now|first|always)|before using (?:this|any) tool`;

export function tools(): readonly Rule[] {
  return [
    asks(
      'tool-contradicts-itself',
      'TOOL_CONTRADICTS_ITSELF',
      'the tool says that it only reads, and its name says that it changes something',
      `has(annotations.readOnlyHint) && annotations.readOnlyHint == true && named(tool, ${celList(['write', 'delete', 'remove', 'drop', 'send', 'transfer', 'pay', 'execute', 'exec', 'upload', 'update', 'create'])})`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'tool-tells-model',
      'TOOL_TELLS_MODEL',
      'the title of the tool tells the model what to do',
      `has(annotations.title) && annotations.title.matches(${celPattern(TELLS_MODEL)})`,
    ),
  ];
}
