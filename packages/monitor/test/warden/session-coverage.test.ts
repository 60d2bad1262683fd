import { describe, expect, it } from 'vitest';
import type { WardenEvent } from '../../src/warden/ports.ts';
import { sessionCoverage } from '../../src/warden/session-coverage.ts';
import { runWarden } from '../../src/warden/warden.ts';
import { FakeSensor, wardenParts } from './fakes.ts';

const started = (sensors: Extract<WardenEvent, { kind: 'started' }>['sensors']): WardenEvent => ({
  kind: 'started',
  at: 1,
  level: 'L2',
  mode: 'enforce_kill',
  grade: 'gate',
  sensors,
});
const SECCOMP = { name: 'seccomp', level: 'L2', gives: ['exec', 'read'] } as const;
const POLL = { name: 'proc-poll', level: 'L0', gives: ['exec', 'read', 'connect'] } as const;
const kernel = { trapReads: 'deny-list' } as const;
const about = { mode: 'enforce_kill', supervisor: 'seccomp', kernel } as const;

describe('what can be prevented of a session', () => {
  it('is decided by what has started, not by what was asked for', () => {
    const both = sessionCoverage(about);
    expect(both.facts()).toEqual({});
    expect(both.see(started([SECCOMP, POLL]))).toMatchObject({ enforcement: { level: 'L2', actions: { exec: 'racy', connect: 'racy' } } });
    const one = sessionCoverage(about);
    expect(one.see(started([POLL]))).toMatchObject({ enforcement: { level: 'L0', actions: { exec: 'seen', delete: 'off' } } });
    expect(one.facts().enforcement).toMatchObject({ level: 'L0' });
  });

  it('says why it holds nothing where that was asked for', () => {
    const coverage = sessionCoverage({ ...about, without: 'koffi is missing' });
    expect(coverage.see(started([POLL]))).toMatchObject({ enforcement: { without: 'koffi is missing' } });
  });

  it('keeps what fell, in order, and no more of it than there are sensors', () => {
    const coverage = sessionCoverage(about);
    const fall = (at: number): WardenEvent => ({ kind: 'coverage', at, level: 'L0', sensor: 'seccomp', why: 'gone' });
    expect(coverage.see(fall(7))).toEqual(fall(7));
    expect(coverage.facts()).toEqual({ fell: [{ at: 7, level: 'L0', sensor: 'seccomp', why: 'gone' }] });
    for (let at = 0; at < 1000; at++) coverage.see(fall(at));
    expect(coverage.facts().fell).toHaveLength(32);
  });

  it('leaves every other event as it is', () => {
    const trouble: WardenEvent = { kind: 'trouble', at: 1, during: 'x', error: new Error('y') };
    expect(sessionCoverage(about).see(trouble)).toBe(trouble);
  });
});

describe('the level of a warden', () => {
  it('L2 is on record only while the sensor that holds is alive, and the lowest is what is left of it', async () => {
    const seccomp = new FakeSensor({ name: 'seccomp', level: 'L2' });
    const parts = wardenParts('enforce_kill', { sensors: [seccomp, new FakeSensor({ name: 'poll' })], needs: seccomp });
    const running = await runWarden(parts.options);
    seccomp.host?.died(new Error('its thread ended'));
    await running.settled();
    expect(running.level).toBe('L0');
    expect(parts.ledger.marks).toEqual(['start L2', 'coverage L0']);
    expect(await running.close()).toMatchObject({
      level: 'L0',
      sensors: [
        { name: 'seccomp', isAlive: false },
        { name: 'poll', isAlive: true },
      ],
    });
  });

  it('nothing is watched, or put on record, without the one that answers what the filter stops', async () => {
    const poll = new FakeSensor({ name: 'poll' });
    const seccomp = new FakeSensor({ name: 'seccomp', level: 'L2', fails: new Error('no thread') });
    const parts = wardenParts('enforce_kill', { sensors: [poll, seccomp], needs: seccomp });
    await expect(runWarden(parts.options)).rejects.toThrow('no thread');
    expect(poll.stopped).toBe(1);
    expect(parts.ledger.marks).toEqual([]);
    expect(parts.events.filter(({ kind }) => kind === 'started')).toEqual([]);
  });

  it('tells at the start which sensors see', async () => {
    const dead = new FakeSensor({ name: 'connector', level: 'L1', fails: new Error('a container') });
    const { options, events } = wardenParts('enforce_kill', { sensors: [dead, new FakeSensor({ name: 'poll' })] });
    const running = await runWarden(options);
    expect(events.find(({ kind }) => kind === 'started')).toMatchObject({ level: 'L0', sensors: [{ name: 'poll' }] });
    await running.close();
  });

  it('what shuts the processes in holds on when a sensor dies, but nothing is claimed once nobody watches', async () => {
    const connector = new FakeSensor({ name: 'connector', level: 'L1' });
    const poll = new FakeSensor({ name: 'poll' });
    const { options, ledger } = wardenParts('audit_only', { sensors: [connector, poll], floor: 'L3' });
    const running = await runWarden(options);
    expect(running.level).toBe('L3');
    connector.host?.died(new Error('gone'));
    expect(running.level).toBe('L3');
    poll.host?.died(new Error('gone'));
    await running.settled();
    expect(running.level).toBe('none');
    expect(ledger.marks.at(-1)).toBe('coverage none');
    await running.close();
  });
});
