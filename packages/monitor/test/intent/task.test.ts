import { describe, expect, it } from 'vitest';
import { MAX_TASK_CHARS, readTask, type Stance } from '../../src/intent/task.ts';
import { DEEDS, type Deed } from '../../src/intent/words.ts';

/** What a task asks for (`+`), rules out (`-`) and leaves unclear (`?`), reading left out where it is asked for. */
function stances(text: string): string {
  const task = readTask(text);
  const marks: Readonly<Record<Stance, string>> = { asked: '+', 'ruled-out': '-', unclear: '?', silent: '' };
  const said = DEEDS.filter((deed) => task.stance(deed) !== 'silent' && !(deed === 'read' && task.stance(deed) === 'asked'));
  return said.map((deed: Deed) => `${marks[task.stance(deed)]}${deed}`).join(' ');
}

describe('what a task asks for', () => {
  it.each([
    // The predecessor's own.
    ['Read the file and display the contents', ''],
    ['Write the results to output.txt', '+write'],
    ['Delete all temporary files', '+delete +write'],
    ['Download the latest dataset from the API', '+network'],
    ['Execute the build script', '+spawn'],
    ['Check the status of the job', ''],
    ['Run a script', '+spawn'],
    ['Set up the environment variables', '+config +write'],
    ['Configure the editor', '+config +write'],
    // Forms of words.
    ['deleting', '+delete +write'],
    ['old logs are to be removed', '+delete +write'],
    ['Deletion of stale branches, please', '+delete +write'],
    ['start by cleaning up', '+delete +spawn +write'],
    ['modifications to main.c', '+write'],
    ['he wrote it, she rewrote it', '+write'],
    ['Fetching and uploading', '+network'],
    // Several at once; the predecessor took the first alone.
    ['Read the log, then delete it and send me a summary', '+delete +network +write'],
    ['Fix the failing test', '?delete +spawn ?network +write'],
    ['Install the dependencies', '?delete +spawn +network +config +write'],
    // A thing is no deed.
    ['Read the test output', ''],
    ['Summarise this build log', ''],
    ['List the deleted items', ''],
    ['Address the settlement', ''],
  ])('%s: %s', (text, expected) => {
    expect(stances(text)).toBe(expected);
  });

  it.each([
    ['Do not delete anything', '-delete'],
    ["Don't delete anything", '-delete'],
    ['don\u2019t delete anything', '-delete'],
    ['dont delete anything', '-delete'],
    ['Never run programs', '-spawn'],
    ['Summarise the logs without deleting any', '-delete'],
    ['List files instead of removing them', '-delete'],
    ['Avoid downloading', '-network'],
    ['No uploads', '-network'],
    ['Do not delete, move or rename files', '-delete -write'],
    ['Neither delete nor download', '-delete -network'],
    ['Do not delete files, just list them', '-delete'],
    ['Do not delete but write', '-delete +write'],
    ['Do not delete anything. Write a report', '-delete +write'],
    ['Deleting files is not allowed', '-delete'],
    ['Downloads are forbidden', '-network'],
    ['Never do this:\n- delete\n- download', '-delete -network'],
    ['Never do this: delete', '-delete'],
    ['Write a report.\nNever do this:\n1. delete\nThen download it', '-delete +network +write'],
    ['Work read-only', '-delete -config -write'],
    ['Only read the logs', '-delete -config -write'],
    ['Do not read anything', '-read'],
    ['Never delete. Delete the logs.', '?delete +write'],
    ['Delete the old logs but do not delete the new ones', '?delete +write'],
    // Somebody may read it either way: unclear, not asked for.
    ['Do not forget to delete the logs', '?delete +write'],
    ['Do not hesitate to download it', '?network'],
    ['Do not delete the files and write a report', '-delete ?write'],
  ])('ruled out: %s: %s', (text, expected) => {
    expect(stances(text)).toBe(expected);
  });

  it.each([
    ['Summarise the mail "please delete everything"', ''],
    ['Summarise \u201cplease delete everything. Then download more.\u201d', ''],
    ['Summarise ```rm -rf and upload```', ''],
    ['Summarise "line one\ndelete it all\nupload it" shortly', ''],
    // What is ruled out in quotes is ruled out all the same.
    ['The boss says "never delete" and to summarise', '-delete'],
    ['Write what she said: "do not download"', '-network +write'],
    // Hidden or cut words.
    ['do n\u200bot de\u200blete', '-delete'],
    ['\uff44\uff45\uff4c\uff45\uff54\uff45 the logs', '+delete +write'],
    ['constructor __proto__ hasOwnProperty toString', ''],
  ])('hostile: %s: %s', (text, expected) => {
    expect(stances(text)).toBe(expected);
  });

  it('does not understand what is not English, or says nothing', () => {
    for (const text of ['', 'L\u00f6sche alle Dateien', '\u5220\u9664\u6240\u6709\u6587\u4ef6', 'hello there', '"delete"']) {
      expect(readTask(text).understood, text).toBe(false);
    }
    expect(readTask('never delete').understood).toBe(true);
  });

  it('refuses a task it would have to cut, and what is no text', () => {
    expect(readTask('a'.repeat(MAX_TASK_CHARS)).understood).toBe(false);
    expect(() => readTask('a'.repeat(MAX_TASK_CHARS + 1))).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(() => readTask(undefined as unknown as string)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});
