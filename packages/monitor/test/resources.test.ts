import { spawnSync } from 'node:child_process';
import { describe, expect, it, vi } from 'vitest';
import { monitorOf } from '../src/monitor.ts';
import { processReadings, sampleProcess } from '../src/resources/readings.ts';
import { FakeReadings } from './fake-readings.ts';

describe('against the real pidusage', () => {
  it('reads the memory of this process', async () => {
    const rss = await sampleProcess(process.pid);
    expect(rss).toBeGreaterThan(1_000_000);
    expect(rss).toBeLessThan(1e12);
  });

  it('a real sample reaches the call that is in flight', async () => {
    const host = new FakeReadings();
    const real = await processReadings().sample();
    host.sample = () => Promise.resolve(real);
    const watch = monitorOf(host).begin('call');
    await host.tick();
    expect(watch.end()).toStrictEqual({ cpu_ms: 0, rss_bytes: Math.round(real), samples: 2, scope: 'process' });
  });

  it('rejects for a process that has gone, and the monitor counts it', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    await expect(sampleProcess(pid)).rejects.toThrow(/pid/);
    const host = new FakeReadings();
    host.sample = () => sampleProcess(pid);
    const monitor = monitorOf(host);
    const watch = monitor.begin('call');
    await host.tick();
    await vi.waitFor(() => expect(monitor.stats()).toStrictEqual({ samples: 0, lost: 1 }), 20_000);
    expect(watch.end()).toMatchObject({ samples: 1 });
  });

  it.each([-1, Number.NaN])('rejects for pid %d', async (pid) => {
    await expect(sampleProcess(pid)).rejects.toThrow('One of the pids provided is invalid');
  });

  it('is not moved by what the environment tells pidusage', async () => {
    vi.stubEnv('PIDUSAGE_MAXAGE', '0');
    vi.stubEnv('PIDUSAGE_USE_PS', 'true');
    await expect(sampleProcess(process.pid)).resolves.toBeGreaterThan(0);
    vi.unstubAllEnvs();
  });
});

describe('this process', () => {
  it('counts CPU time that was spent', () => {
    const readings = processReadings();
    const before = readings.cpuMicros();
    while (readings.cpuMicros() - before < 5_000);
    expect(readings.cpuMicros() - before).toBeGreaterThanOrEqual(5_000);
    expect(readings.rssBytes()).toBeGreaterThan(1_000_000);
  });

  it('does not stay alive for the sampling timer', () => {
    const program = `
      import { processReadings } from ${JSON.stringify(new URL('../src/resources/readings.ts', import.meta.url).href)};
      processReadings().every(100, () => undefined);`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 });
    expect({ status: child.status, signal: child.signal }).toStrictEqual({ status: 0, signal: null });
  });
});
