/** Evidence that cannot be written: whoever is responsible hears what happened, what it means, and what to do. */
import { CountersignError, createRedactor } from '@countersign/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { Alert } from '../../src/alerts/alert.ts';
import { alerts } from '../../src/alerts/alerts.ts';
import { terminalAlert } from '../../src/alerts/channels.ts';
import { isDiskFull, notLogged, notRecorded } from '../../src/evidence/unwritable.ts';
import type { Warden, WardenEvent } from '../../src/warden/ports.ts';
import { runWarden } from '../../src/warden/warden.ts';
import { alsoTelling } from '../../src/warden/watch-alerts.ts';
import { wardenParts } from '../warden/fakes.ts';

const full = Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
const nested = new CountersignError('LEDGER_WRITE_FAILED', 'calls are refused', { cause: full });

describe('a full disk', () => {
  it.each<[string, unknown]>([
    ["the database's", full],
    ["the system's", Object.assign(new Error('write'), { code: 'ENOSPC' })],
    ['a quota', Object.assign(new Error('write'), { code: 'EDQUOT' })],
    ['behind an error of ours', nested],
    ['from another thread, which keeps only the words', new Error('ENOSPC: no space left on device, write')],
  ])('is known: %s', (_name, error) => {
    expect(isDiskFull(error)).toBe(true);
    expect(notRecorded(error, 'enforce_kill').message).toMatch(/^THE DISK IS FULL: .*the agent stays stopped.*Free space there/);
    expect(notLogged(error).message).toMatch(/THE DISK IS FULL: ACTIVITY IS NOT BEING LOGGED.*Free space there/);
  });

  it.each<[string, unknown]>([
    ['another failure', Object.assign(new Error('input/output error'), { code: 'EIO' })],
    ['a lock', Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' })],
    ['nothing', undefined],
    ['a text', 'ENOSPC'],
  ])('is not made up: %s', (_name, error) => {
    expect(isDiskFull(error)).toBe(false);
    expect(notRecorded(error, 'enforce_kill').message).not.toContain('FULL');
  });

  it('ends with causes that go round', () => {
    const round = new Error('a');
    round.cause = round;
    expect(isDiskFull(round)).toBe(false);
  });

  it('is not said to stop anything in a mode that stops nothing', () => {
    expect(notRecorded(full, 'audit_only').message).toMatch(/nothing stops/);
    expect(notRecorded(full, 'audit_only').message).not.toMatch(/stays stopped/);
  });
});

describe('a session whose disk is full', () => {
  let warden: Warden | undefined;
  afterEach(() => warden?.close());

  async function started(mode: 'enforce_kill' | 'audit_only' = 'enforce_kill') {
    const told: Alert[] = [];
    const telling = alerts({ channels: [{ name: 'pager', tell: async (alert) => void told.push(alert) }] });
    const events: WardenEvent[] = [];
    const about = { session: 'run-1', mode, redactor: createRedactor() };
    const parts = wardenParts(mode, { onEvent: alsoTelling(telling, about, (event) => void events.push(event)) });
    parts.ledger.record = (
      (record) =>
      async (...args) => {
        if (parts.ledger.fails) throw nested;
        return record(...args);
      }
    )(parts.ledger.record.bind(parts.ledger));
    warden = await runWarden(parts.options);
    return { ...parts, told, seen: events };
  }
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const troubles = (events: readonly WardenEvent[]) => events.flatMap((event) => (event.kind === 'trouble' ? [event] : []));

  it('says why what a HALT stopped stands still, once, at the terminal and by alert, though no verdict of it is on record', async () => {
    const { sensor, ledger, questions, told, seen, did } = await started();
    ledger.fails = true;
    const answers = sensor.hold('HALT');
    await turns();
    expect(questions.asked).toEqual([]);
    expect(answers).toEqual([]);
    expect(troubles(seen)).toMatchObject([{ error: { code: 'LEDGER_WRITE_FAILED', message: expect.stringMatching(/^THE DISK IS FULL/) } }]);
    // FLAG is not among the levels that are told: this is told all the same.
    expect(told).toMatchObject([{ rule: 'not-recorded', isTrouble: true, reason: expect.stringContaining('the agent stays stopped') }]);
    expect(did).not.toContain('resume');
    ledger.fails = false;
    await questions.until(1);
    expect(troubles(seen)).toHaveLength(1);
  });

  it('says it again when it is full anew', async () => {
    const { sensor, ledger, questions, seen } = await started();
    for (let nth = 1; nth <= 2; nth++) {
      ledger.fails = true;
      sensor.see('HALT');
      await turns();
      expect(troubles(seen)).toHaveLength(nth);
      ledger.fails = false;
      await questions.until(nth);
      questions.answer({ do: 'resume', by: 'jane' });
      await turns();
    }
  });

  it('in audit mode says that nothing stops', async () => {
    const { sensor, ledger, seen, told } = await started('audit_only');
    ledger.fails = true;
    sensor.see('FLAG');
    await turns();
    expect(troubles(seen)[0]?.error).toMatchObject({ message: expect.stringContaining('in this mode nothing stops') });
    expect(told).toHaveLength(1);
  });

  it('the alert is headed as trouble, not as a verdict', async () => {
    const { sensor, ledger, told } = await started();
    ledger.fails = true;
    sensor.see('HALT');
    await turns();
    const [alert] = told;
    let text = '';
    if (alert !== undefined) await terminalAlert((more) => void (text += more)).tell(alert, new AbortController().signal);
    expect(text).toMatch(/^countersign: TROUBLE not-recorded: THE DISK IS FULL/);
    ledger.fails = false;
  });

  it('other trouble is no alert', async () => {
    const { freezer, sensor, questions, told, seen } = await started();
    freezer.failsToFreeze = true;
    sensor.see('HALT');
    await questions.until(1);
    expect(troubles(seen)).not.toEqual([]);
    expect(told).toEqual([]);
  });
});
