import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hostMonitor, MAX_WATCHES, monitorOf } from '../src/monitor.ts';
import { FakeReadings } from './fake-readings.ts';

describe('figures', () => {
  it('gives integer CPU time and the largest memory seen, process-wide', async () => {
    const host = new FakeReadings();
    const watch = monitorOf(host).begin('call-1');
    host.cpu += 12_600;
    await host.tick(5_000.4);
    await host.tick(9_000.6);
    host.rss = 7_000;
    expect(watch.end()).toStrictEqual({ cpu_ms: 13, rss_bytes: 9_001, samples: 3, scope: 'process' });
  });

  it('takes the reading at the end when a call was too short for a sample', () => {
    const host = new FakeReadings();
    expect(monitorOf(host).begin('short').end()).toStrictEqual({ cpu_ms: 0, rss_bytes: 1_000, samples: 1, scope: 'process' });
  });

  it('never claims less than zero when the counter goes back', () => {
    const host = new FakeReadings();
    const watch = monitorOf(host).begin('call');
    host.cpu = 0;
    expect(watch.end()?.cpu_ms).toBe(0);
  });

  it('gives overlapping calls the samples of their own time only', async () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host);
    const first = monitor.begin('a');
    await host.tick(50_000);
    const second = monitor.begin('b');
    await host.tick(2_000);
    expect(second.end()).toMatchObject({ rss_bytes: 2_000, samples: 2 });
    expect(first.end()).toMatchObject({ rss_bytes: 50_000, samples: 3 });
  });

  it('does not give a call a sample that began before it', async () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host);
    monitor.begin('early');
    const landing = host.hold();
    const late = monitor.begin('late');
    await landing(99_000);
    expect(late.end()).toMatchObject({ rss_bytes: 1_000, samples: 1 });
  });

  it('keeps two watches of one call id apart', () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host);
    const first = monitor.begin('__proto__');
    host.cpu += 5_000;
    const second = monitor.begin('__proto__');
    expect(second.end()?.cpu_ms).toBe(0);
    expect(first.end()?.cpu_ms).toBe(5);
  });

  it('ends once', () => {
    const watch = monitorOf(new FakeReadings()).begin('call');
    expect(watch.end()).toBeDefined();
    expect(watch.end()).toBeUndefined();
  });
});

describe('what fails', () => {
  const brokenSamplers: readonly [string, () => Promise<number>][] = [
    ['rejects', () => Promise.reject(new Error('No matching pid found'))],
    [
      'throws',
      () => {
        throw new Error('unsupported platform');
      },
    ],
    ['gives NaN', () => Promise.resolve(Number.NaN)],
    ['gives a negative number', () => Promise.resolve(-1)],
    ['gives infinity', () => Promise.resolve(Number.POSITIVE_INFINITY)],
  ];

  it.each(brokenSamplers)('a sampler that %s is counted, and the call keeps its other figures', async (_name, sample) => {
    const host = new FakeReadings();
    host.sample = sample;
    const monitor = monitorOf(host);
    const watch = monitor.begin('call');
    await host.tick();
    await host.tick();
    expect(monitor.stats()).toStrictEqual({ samples: 0, lost: 2 });
    expect(watch.end()).toStrictEqual({ cpu_ms: 0, rss_bytes: 1_000, samples: 1, scope: 'process' });
  });

  it('a sampler that hangs costs one pending sample, the others are lost, and sampling resumes when it returns', async () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host);
    const watch = monitor.begin('call');
    const landing = host.hold();
    for (let i = 0; i < 5; i++) await host.tick(8_000);
    expect(monitor.stats()).toStrictEqual({ samples: 0, lost: 5 });
    await landing(3_000);
    await host.tick(4_000);
    expect(monitor.stats()).toStrictEqual({ samples: 2, lost: 5 });
    expect(watch.end()).toMatchObject({ rss_bytes: 4_000, samples: 3 });
  });

  it('end never throws: what cannot be read is left out', () => {
    const host = new FakeReadings();
    const watch = monitorOf(host).begin('call');
    host.cpuMicros = fail;
    host.rssBytes = fail;
    expect(watch.end()).toStrictEqual({ samples: 0, scope: 'process' });
    expect(watch.end()).toBeUndefined();
  });

  it('begin throws when CPU time cannot be read, and leaves nothing behind', () => {
    const host = new FakeReadings();
    host.cpuMicros = fail;
    expect(() => monitorOf(host).begin('call')).toThrow('gone');
    expect(host.running).toBe(0);
  });

  it('begin throws after close, before which open watches still end', async () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host);
    const watch = monitor.begin('open');
    await monitor.close();
    await monitor.close();
    expect(() => monitor.begin('late')).toThrow(expect.objectContaining({ code: 'MONITOR_CLOSED', details: { callId: 'late' } }));
    expect(watch.end()).toMatchObject({ samples: 1 });
    expect(host.running).toBe(0);
  });

  it('a sample that lands after close harms nobody', async () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host);
    const watch = monitor.begin('open');
    const landing = host.hold();
    watch.end();
    await monitor.close();
    await landing(1);
    expect(monitor.stats()).toStrictEqual({ samples: 1, lost: 0 });
  });

  it('refuses more calls at once than the limit, and takes the next one when one has ended', () => {
    const monitor = monitorOf(new FakeReadings());
    const first = monitor.begin('0');
    for (let i = 1; i < MAX_WATCHES; i++) monitor.begin(String(i));
    expect(() => monitor.begin('over')).toThrow(expect.objectContaining({ code: 'CALL_LIMIT' }));
    first.end();
    expect(() => monitor.begin('next')).not.toThrow();
  });

  it.each([0, -1, 99, 60_001, 500.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses sampleMs %d', (sampleMs) => {
    expect(() => hostMonitor({ sampleMs })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

describe('when it samples', () => {
  it('starts no timer before the first call and uses one for all', () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host, { sampleMs: 250 });
    expect(host.running).toBe(0);
    monitor.begin('a');
    monitor.begin('b');
    expect(host.running).toBe(1);
    expect(host.intervalMs).toBe(250);
  });

  it('samples at 1 Hz unless told otherwise', () => {
    const host = new FakeReadings();
    monitorOf(host).begin('a');
    expect(host.intervalMs).toBe(1_000);
  });

  it('stops at the first tick without a call, and starts again with the next call', async () => {
    const host = new FakeReadings();
    const monitor = monitorOf(host);
    monitor.begin('a').end();
    await host.tick();
    expect(host.running).toBe(0);
    expect(monitor.stats()).toStrictEqual({ samples: 0, lost: 0 });
    monitor.begin('b');
    expect(host.running).toBe(1);
  });

  it('claims L0 and nothing more', () => {
    expect(hostMonitor().coverage).toBe('L0');
  });

  it('samples outside the async context of the call that started the timer', async () => {
    const scope = new AsyncLocalStorage<string>();
    const { processReadings } = await import('../src/resources/readings.ts');
    const readings = processReadings();
    const seen = await new Promise((resolve) => {
      const stop = scope.run('call-1', () =>
        readings.every(1, () => {
          stop();
          resolve(scope.getStore());
        }),
      );
      const alive = setInterval(() => undefined, 1_000);
      onTestFinished(() => clearInterval(alive));
    });
    expect(seen).toBeUndefined();
  });
});

function fail(): number {
  throw new Error('gone');
}
