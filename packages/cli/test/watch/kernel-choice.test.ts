import { parseConfig } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { Flags } from '../../src/command.ts';
import { UsageError } from '../../src/failure.ts';
import { containOf, kernelOf, probeOf } from '../../src/watch/kernel-choice.ts';
import { project, run } from '../harness.ts';

const settings = (monitor: string) =>
  parseConfig(`version: 1\nagent: a\npolicy: { id: p, rules: [] }\nmonitor: { ${monitor} }\n`, { path: '/etc/c/countersign.yaml' }).monitor;
const given = (options: Readonly<Record<string, string>>) =>
  new Flags(new Map(Object.entries(options).map(([name, value]) => [name, [value]])));

describe('what holds an agent before it does something', () => {
  it.each([
    ['', {}, { trapReads: 'deny-list', hot: [], whenMissing: 'without' }],
    ['kernel: required', {}, { trapReads: 'deny-list', hot: [], whenMissing: 'refuse' }],
    ['kernel: off', {}, undefined],
    ['kernel: off', { kernel: 'required', 'trap-reads': 'broker' }, { trapReads: 'broker', hot: [], whenMissing: 'refuse' }],
    ['kernel: required', { kernel: 'auto' }, { trapReads: 'deny-list', hot: [], whenMissing: 'without' }],
    ['kernel: required', { kernel: 'off' }, undefined],
    [
      'kernel: required, trap_reads: broker, hot: [lib]',
      { 'trap-reads': 'off' },
      { trapReads: 'off', hot: ['/etc/c/lib'], whenMissing: 'refuse' },
    ],
  ])('{ %s } with %j: kernel control %j', (monitor, options, expected) => {
    expect(kernelOf(given(options), settings(monitor))).toEqual(expected);
  });

  it.each([
    ['', {}, undefined],
    ['contain: auto', {}, { by: 'auto', whenMissing: 'refuse' }],
    ['contain: auto, contain_unavailable: warn', { contain: 'landlock' }, { by: 'landlock', whenMissing: 'without' }],
    ['contain: auto', { contain: 'off' }, undefined],
  ])('{ %s } with %j: shut in by %j', (monitor, options, expected) => {
    expect(containOf(given(options), settings(monitor))).toEqual(expected);
  });

  it.each([
    ['', {}, undefined],
    ['probe: false', {}, undefined],
    ['probe: true', {}, true],
    ['probe: false', { probe: 'on' }, true],
  ])('{ %s } with %j: the probe %j', (monitor, options, expected) => {
    expect(probeOf(given(options), settings(monitor))).toBe(expected);
  });

  it.each([
    ['kernel', 'on'],
    ['kernel', ''],
    ['kernel', 'constructor'],
    ['trap-reads', 'deny_list'],
    ['trap-reads', 'true'],
  ])('refuses --%s %j', (name, value) => {
    expect(() => kernelOf(given({ [name]: value }), settings(''))).toThrow(UsageError);
  });

  it.each(['docker', 'on', '__proto__'])('refuses --contain %j', (value) => {
    expect(() => containOf(given({ contain: value }), settings(''))).toThrow(UsageError);
  });

  it('is said before anything runs', async () => {
    const ran = await run(['run', '--kernel', 'on', '--', 'true'], { cwd: await project() });
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain('use auto, off, required');
  });

  it('is not for what runs already', async () => {
    const ran = await run(['attach', '--pid', '1', '--kernel', 'required'], { cwd: await project() });
    expect(ran).toMatchObject({ code: 2 });
  });
});
