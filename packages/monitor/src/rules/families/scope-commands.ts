/** The scope's lists of commands. */
import { isKnownAs, type Program, programName } from '../programs.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';

export const SCOPE_COMMANDS: RuleFamily = {
  rules: [
    {
      id: 'forbidden-command',
      title: 'A forbidden command',
      explanation:
        'The program has a name of `forbidden_commands`, or its command line begins with one that has blanks. What wrappers (`env`, `sudo`, `sh -c` ...) run counts as well.',
      levels: ['KILL'],
    },
    {
      id: 'unknown-command',
      title: 'A command outside the scope',
      explanation: 'The program is not in `allowed_commands`.',
      levels: ['FLAG'],
    },
  ],
  kinds: ['exec'],
  begin({ scope: { process: lists }, folders }) {
    const names = new Map(lists.forbiddenCommands.filter((text) => !/\s/.test(text)).map((text) => [text.toLowerCase(), text]));
    const phrases = lists.forbiddenCommands.filter((text) => /\s/.test(text)).map((text) => ({ text, words: text.split(/\s+/) }));
    const allowed = lists.allowedCommands?.map((text) => text.trim().toLowerCase());
    return {
      judge({ programs, exe, activity: { action } }, found) {
        if (programs === undefined || action.kind !== 'exec') return;
        for (const program of programs.all) {
          const text = names.get(program.name) ?? phrases.find(({ words }) => begins(program, words))?.text;
          if (text === undefined) continue;
          found({ rule: 'forbidden-command', level: 'KILL', reason: `forbidden command ${quoted(text)}` });
          return;
        }
        if (allowed === undefined) return;
        // The file counts: what it goes by may be a disguise. In system folders a version or variant of the name will do.
        const file = programName(exe);
        const isAllowed = allowed.some((name) => name === file || (isKnownAs(file, name) && folders.isSystem(exe)));
        if (!isAllowed) found({ rule: 'unknown-command', level: 'FLAG', reason: `unknown command ${quoted(file)}`, ambiguous: true });
      },
    };
  },
};

/** `rm -rf /` is the beginning of `/bin/rm -rf / --no-preserve-root`, and not of `rm -rf /tmp`. */
function begins({ words }: Program, phrase: readonly string[]): boolean {
  return phrase.every((word, index) => (index === 0 ? words[0] === word.toLowerCase() : words[index] === word));
}
