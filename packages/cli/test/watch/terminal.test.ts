/** `countersign run` on a terminal: the agent has it, job control works, and a halt can be answered there. */
import { describe, expect, it } from 'vitest';
import { script, watchedProject } from './agent-process.ts';
import { ANSWER_AFTER, hasPython, onTerminal, RUN } from './on-terminal.ts';

describe.skipIf(!hasPython || process.platform !== 'linux')('an agent on a terminal', { timeout: 300_000 }, () => {
  it('asks, and is answered', async () => {
    const cwd = await watchedProject();
    const agent = ['--', 'sh', '-c', 'printf "name? "; read name; echo "hello $name"'];
    const shown = await onTerminal(cwd, [...RUN, ...agent], [['name\\? ', 'bob\n']]);
    expect(shown).toMatchObject({ code: 0, steps: 1 });
    expect(shown.output).toContain('hello bob');
  });

  it('has Ctrl-C to itself', async () => {
    const cwd = await watchedProject();
    const agent = script(
      cwd,
      `process.on('SIGINT', () => { console.log('interrupted'); process.exit(3); }); console.log('ready'); later(60_000, () => {});`,
    );
    const shown = await onTerminal(cwd, [...RUN, '--', 'node', agent], [['ready\r', '\u0003']]);
    expect(shown).toMatchObject({ code: 3, steps: 1 });
    expect(shown.output).toMatch(/interrupted\r\n[^]*countersign: session/);
  });

  it('is stopped by Ctrl-Z with all of its tree, and goes on with fg', async () => {
    const cwd = await watchedProject();
    const agent = script(
      cwd,
      `let beats = 0; setInterval(() => { beats++; console.log('beat ' + beats); if (beats === 30) process.exit(0); }, 100);`,
    );
    const typed = `${[...RUN, '--', 'node', agent].map((word) => `'${word}'`).join(' ')}; echo "code $?"`;
    const shown = await onTerminal(
      cwd,
      ['bash', '--norc', '-i'],
      [
        ['[#$] ', `${typed}\n`],
        ['beat 3\r', '\u001a'],
        ['Stopped', 'sleep 2; echo "slept well"\n'],
        ['slept well\r', 'fg\n'],
        ['beat 30\r', 'exit\n'],
      ],
    );
    expect(shown.steps).toBe(5);
    // Nothing of it ran meanwhile: the whole tree was stopped.
    expect(/Stopped([^]*?)slept well\r/.exec(shown.output)?.[1]).not.toMatch(/beat \d/);
  });

  it('is let go on by whoever sits there', async () => {
    const cwd = await watchedProject();
    const agent = script(
      cwd,
      `console.log('ready'); hold('bait.txt'); let left = 20; setInterval(() => { if (--left === 0) { console.log('done'); process.exit(7); } }, 100);`,
    );
    const shown = await onTerminal(
      cwd,
      [...RUN, '--mode', 'confirm', '--', 'node', agent],
      [['(?s)\\[r\\] resume.*> ', 'r\n', ANSWER_AFTER]],
    );
    expect(shown).toMatchObject({ code: 7, steps: 1 });
    expect(shown.output).toMatch(/resumed[^]*done\r/);
  });

  it('is ended by whoever sits there', async () => {
    const cwd = await watchedProject();
    const agent = script(cwd, `hold('bait.txt'); later(60_000, () => {});`);
    const shown = await onTerminal(
      cwd,
      [...RUN, '--mode', 'confirm', '--', 'node', agent],
      [['(?s)\\[k\\] kill.*> ', 'k\n', ANSWER_AFTER]],
    );
    expect(shown).toMatchObject({ code: 121, steps: 1 });
    expect(shown.output).toMatch(/KILLED: 1 process[^]*nothing is left/);
  });
});
