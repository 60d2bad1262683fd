import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { captureEvidence, MAX_CAPTURED_FDS, MAX_CAPTURED_PROCESSES } from '../../src/evidence/capture.ts';
import { incidentState } from '../../src/evidence/incident.ts';
import { IncidentFiles, incidentIds, MAX_SESSION_INCIDENTS, readIncident, readIncidentFile } from '../../src/evidence/incident-files.ts';
import { TIMELINE_FLAGGED, TIMELINE_LAST } from '../../src/evidence/timeline.ts';
import type { TreeProcess } from '../../src/tree/process-tree.ts';
import type { Incident } from '../../src/warden/ports.ts';
import { FakeProc } from '../fake-proc.ts';
import { activity, NODE, T0, tempFolder, verdict } from './samples.ts';

const ID = 'a'.repeat(32);
const MEMBER: TreeProcess = { ...NODE, attribution: { method: 'none' } };

function trigger(more: Partial<Incident> = {}): Incident {
  const seen = activity(3, { kind: 'read', path: '/home/ada/.ssh/id_rsa' });
  return { id: ID, at: T0 + 3100, session: 'f'.repeat(32), mode: 'enforce_kill', activity: seen, verdict: verdict('KILL', 3), ...more };
}

function files(dir = tempFolder()) {
  return {
    dir,
    files: new IncidentFiles({ dir, agent: 'billing-bot', capture: async () => ({ at: T0, processes: [MEMBER], omitted: 0 }) }),
  };
}

describe('an incident file', () => {
  it('is exactly these bytes', async () => {
    const { dir, files: incidents } = files();
    incidents.see(activity(1), verdict());
    incidents.see(activity(2, { kind: 'connect', protocol: 'tcp', host: 'x.example', port: 443 }), verdict('FLAG', 2, { ambiguous: true }));
    const incident = trigger();
    incidents.see(incident.activity, incident.verdict);
    await incidents.open(incident, [MEMBER]);
    await incidents.update(incident, [
      { at: T0 + 3101, event: 'frozen', grade: 'cgroup', count: 4, duration_ms: 2 },
      { at: T0 + 3200, event: 'killed', grade: 'cgroup', count: 4, duration_ms: 3, by: 'secret-read' },
      { at: T0 + 3300, event: 'quarantined', count: 2 },
    ]);
    const path = join(dir, 'incidents', `${ID}.json`);
    await expect(readFileSync(path, 'utf8')).toMatchFileSnapshot('./golden/incident.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'incidents')).mode & 0o777).toBe(0o700);
    expect(readIncident(dir, ID)).toMatchObject({ id: ID, agent: 'billing-bot', timeline: [{ activity: { seq: 1 } }, {}, {}], omitted: 0 });
  });

  it('is what the page on the format shows', () => {
    const page = readFileSync(new URL('../../../../docs/formats/incident.md', import.meta.url), 'utf8');
    expect(page).toContain(`\n${readFileSync(new URL('golden/incident.json', import.meta.url), 'utf8')}\``);
  });

  it('holds no secret, no line feed and no escape of whoever is watched', async () => {
    const { dir, files: incidents } = files();
    const argv = ['curl', '--password', 'tr0ub4dor-and-3', 'a\nb\u001b[2J\u202e</script>'];
    const seen = activity(1, { kind: 'exec', exe: '/usr/bin/curl', argv });
    await incidents.open(
      trigger({ activity: seen, verdict: verdict('HALT', 1, { reason: 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789' }) }),
      [],
    );
    await incidents.update(trigger({ activity: seen }), [{ at: T0, event: 'resumed', by: 'ada\n\u001b[31m' }]);
    const text = readFileSync(join(dir, 'incidents', `${ID}.json`), 'utf8');
    expect(text).not.toMatch(/tr0ub4dor|hunter2|sk-ant-api03/);
    expect(text.trimEnd()).not.toMatch(/[\u0000-\u001f\u202e]/);
    expect(readIncident(dir, ID)).toMatchObject({ steps: [{ by: 'ada\n\u001b[31m' }] });
  });

  it('keeps the last that was seen, and before those what was flagged', async () => {
    const { dir, files: incidents } = files();
    const total = 5000;
    for (let seq = 1; seq <= total; seq++) incidents.see(activity(seq), verdict(seq % 4 === 0 ? 'FLAG' : 'SAFE', seq));
    await incidents.open(trigger(), []);
    const { timeline, omitted } = readIncident(dir, ID);
    const seqs = timeline.map((entry) => entry.activity.seq);
    expect(seqs.slice(-TIMELINE_LAST)).toStrictEqual(Array.from({ length: TIMELINE_LAST }, (_, i) => total - TIMELINE_LAST + 1 + i));
    expect(seqs.slice(0, -TIMELINE_LAST)).toHaveLength(TIMELINE_FLAGGED);
    expect(timeline.slice(0, -TIMELINE_LAST).every((entry) => entry.verdict.level === 'FLAG')).toBe(true);
    expect(seqs).toStrictEqual(seqs.toSorted((a, b) => a - b));
    expect(omitted).toBe(total - seqs.length);
  });

  it('says by its last step what became of it', () => {
    const step = (event: Parameters<typeof incidentState>[0][number]['event']) => ({ at: 1, event });
    expect(incidentState([])).toBe('open');
    expect(incidentState([step('frozen')])).toBe('frozen');
    expect(incidentState([step('frozen'), step('killed'), step('quarantined'), step('restored')])).toBe('killed');
    expect(incidentState([step('frozen'), step('failed')])).toBe('failed');
  });

  it('that was opened before many others is still brought up to date', async () => {
    const { dir, files: incidents } = files();
    const ids = Array.from({ length: 8 }, (_, i) => String(i).repeat(32));
    for (const id of ids) await incidents.open(trigger({ id }), [MEMBER]);
    await incidents.update(trigger({ id: ids[0] ?? '' }), [{ at: T0, event: 'resumed' }]);
    expect(readIncident(dir, ids[0] ?? '')).toMatchObject({ evidence: { processes: [{ pid: 4711 }] }, steps: [{ event: 'resumed' }] });
    expect(incidentIds(dir)).toHaveLength(8);
  });

  it('is written without evidence when that could not be taken, and that is told', async () => {
    const dir = tempFolder();
    const incidents = new IncidentFiles({ dir, agent: 'a', capture: () => Promise.reject(new Error('no')) });
    await expect(incidents.open(trigger(), [MEMBER])).rejects.toMatchObject({ code: 'ACTIVITY_LOG_FAILED' });
    expect(readIncident(dir, ID).evidence).toBeUndefined();
  });

  it('of two writes the later one stays', async () => {
    const { dir, files: incidents } = files();
    await incidents.open(trigger(), []);
    const steps = Array.from({ length: 20 }, (_, i) => ({ at: i, event: 'frozen' as const }));
    await Promise.all(steps.map((_, i) => incidents.update(trigger(), steps.slice(0, i + 1))));
    expect(readIncident(dir, ID).steps).toHaveLength(20);
    expect(readdirSync(join(dir, 'incidents'))).toStrictEqual([`${ID}.json`]);
  });
});

describe('what is refused', () => {
  it.each(['../x', `${'a'.repeat(31)}/`, 'A'.repeat(32), ''])('an id of %j', async (id) => {
    const { dir, files: incidents } = files();
    await expect(incidents.open(trigger({ id }), [])).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    expect(() => readIncident(dir, id)).toThrow(expect.objectContaining({ code: 'INCIDENT_NOT_FOUND' }));
  });

  it('a flood of incidents', async () => {
    const { dir, files: incidents } = files();
    mkdirSync(dir, { recursive: true });
    for (let i = 0; i < MAX_SESSION_INCIDENTS; i++)
      await incidents.open(trigger({ id: i.toString(16).padStart(32, '0') }), []).catch(() => undefined);
    await expect(incidents.open(trigger(), [])).rejects.toMatchObject({ code: 'ACTIVITY_LOG_FAILED' });
    expect(existsSync(join(dir, 'incidents', `${ID}.json`))).toBe(false);
  });

  it('a disk that takes nothing: told, and nothing half written is left', async () => {
    const { dir, files: incidents } = files();
    mkdirSync(join(dir, 'incidents', `${ID}.json`));
    await expect(incidents.open(trigger(), [])).rejects.toMatchObject({
      code: 'ACTIVITY_LOG_FAILED',
      message: expect.stringContaining(ID),
    });
    expect(readdirSync(join(dir, 'incidents'))).toStrictEqual([`${ID}.json`]);
  });

  it('a file that holds something else, or another incident', async () => {
    const { dir, files: incidents } = files();
    await incidents.open(trigger(), []);
    const path = join(dir, 'incidents', `${ID}.json`);
    const good = readFileSync(path, 'utf8');
    const other = join(dir, 'incidents', `${'b'.repeat(32)}.json`);
    writeFileSync(other, good);
    expect(() => readIncident(dir, 'b'.repeat(32))).toThrow(expect.objectContaining({ code: 'INCIDENT_NOT_FOUND' }));
    for (const bad of [
      '',
      '{}',
      'null',
      good.slice(0, -10),
      good.replace('"v":1', '"v":2'),
      good.replace('"v":1', `"v":1,"x":${'['.repeat(100_000)}${']'.repeat(100_000)}`),
      good.replace('"timeline":[', '"timeline":[{},'),
      good.replace('"pid":4711', '"pid":"4711"'),
    ]) {
      writeFileSync(path, bad);
      expect(readIncidentFile(path)).toBeUndefined();
    }
  });

  it('a folder that others may write to', () => {
    const dir = tempFolder();
    mkdirSync(join(dir, 'incidents'));
    chmodSync(join(dir, 'incidents'), 0o777);
    expect(() => files(dir)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

describe('evidence of processes', () => {
  function fake(): FakeProc {
    const proc = new FakeProc();
    onTestFinished(() => proc.close());
    return proc;
  }
  const member = (pid: number, start = 5): TreeProcess => ({
    pid,
    start,
    parent: 1,
    exe: '/known',
    argv: ['known'],
    cwd: '/k',
    attribution: { method: 'none' },
  });

  it('is what the process is now, with the hash of the program that runs', async () => {
    const proc = fake();
    const program = join(tempFolder(), 'agent (deleted)');
    writeFileSync(program, 'program');
    proc.put({
      pid: 10,
      start: 5,
      argv: ['agent', 'a\nb'],
      exe: program,
      cwd: '/srv',
      fds: [
        { fd: 0, target: '/dev/null' },
        { fd: 3, target: '/srv/x', flags: '0100002', position: 17 },
        { fd: 4, target: 'socket:[99]' },
      ],
    });
    proc.net(
      'tcp',
      '  sl  local_address rem_address   st\n   0: 0100007F:07E8 09710BCB:01BB 01 00000000:00000000 00:00000000 00000000     0        0 99 1 0\n',
    );
    writeFileSync(
      join(proc.root, '10', 'maps'),
      '7f00-7f01 r-xp 00000000 00:01 12    /memfd:payload (deleted)\n7f01-7f02 r-xp 00000000 08:01 13   /usr/lib/libc.so\n7f03-7f04 r--p 00000000 00:01 12    /memfd:payload (deleted)\n',
    );
    const { processes } = await captureEvidence([member(10)], { root: proc.root });
    expect(processes).toMatchObject([
      {
        pid: 10,
        argv: ['agent', 'a\nb'],
        exe: program,
        exe_sha256: createHash('sha256').update('program').digest('hex'),
        cwd: '/srv',
        fds: [
          { fd: 0, target: '/dev/null', access: 'read' },
          { fd: 3, target: '/srv/x', access: 'both', position: 17 },
          {
            fd: 4,
            target: 'socket:[99]',
            socket: { protocol: 'tcp', local: expect.stringContaining(':2024'), remote: expect.stringContaining(':443') },
          },
        ],
        deleted_maps: ['/memfd:payload'],
      },
    ]);
  });

  it('of a stranger that has its pid now is not taken for it', async () => {
    const proc = fake();
    proc.put({ pid: 10, start: 6, argv: ['stranger'], exe: '/bin/stranger', cwd: '/s' });
    const { processes } = await captureEvidence([member(10)], { root: proc.root });
    expect(processes).toStrictEqual([{ ...member(10), unread: ['process'] }]);
  });

  it('that cannot be read is named, not passed over', async () => {
    const proc = fake();
    proc.put({ pid: 10, start: 5, argv: ['x'] });
    const { processes } = await captureEvidence([member(10)], { root: proc.root });
    expect(processes).toMatchObject([{ exe: '/known', cwd: '/k', argv: ['x'], unread: ['exe', 'cwd', 'maps'] }]);
  });

  it('is bounded: processes, descriptors', async () => {
    const proc = fake();
    proc.put({ pid: 1, start: 5, fds: Array.from({ length: MAX_CAPTURED_FDS + 3 }, (_, fd) => ({ fd, target: '/x' })) });
    const members = [member(1), ...Array.from({ length: MAX_CAPTURED_PROCESSES + 9 }, (_, i) => member(1000 + i))];
    const { processes, omitted } = await captureEvidence(members, { root: proc.root });
    expect(processes).toHaveLength(MAX_CAPTURED_PROCESSES);
    expect(omitted).toBe(10);
    expect(processes[0]).toMatchObject({ fds_omitted: 3 });
    expect(processes[0]?.fds).toHaveLength(MAX_CAPTURED_FDS);
  });

  it('waits for no pipe that stands where a program should', async () => {
    const proc = fake();
    proc.put({ pid: 10, start: 5, exe: '/dev/tty' });
    expect((await captureEvidence([member(10)], { root: proc.root })).processes[0]?.exe_sha256).toBeUndefined();
  });

  it.skipIf(process.platform !== 'linux')('of this very process', async () => {
    const start = Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ')[19]);
    const { processes } = await captureEvidence([{ pid: process.pid, start, attribution: { method: 'none' } }]);
    expect(processes[0]).toMatchObject({
      exe: process.execPath,
      cwd: process.cwd(),
      exe_sha256: createHash('sha256').update(readFileSync(process.execPath)).digest('hex'),
    });
    expect(processes[0]?.fds?.length).toBeGreaterThan(2);
  });
});
