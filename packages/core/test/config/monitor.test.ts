import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { configuredSecrets, parseConfig } from '../../src/index.ts';

const MINIMAL = 'version: 1\nagent: a\npolicy: { id: p, rules: [] }\n';

function problemsOf(text: string): string {
  try {
    parseConfig(`${MINIMAL}${text}\n`, { path: '/etc/c/countersign.yaml' });
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('nothing was wrong with it');
}

const monitorOf = (text: string) => parseConfig(`${MINIMAL}${text}\n`, { path: '/etc/c/countersign.yaml' }).monitor;

describe('the monitor block', () => {
  it('has good defaults', () => {
    expect(monitorOf('')).toEqual({
      mode: 'enforce_kill',
      pollMs: 250,
      haltTimeoutMs: 900_000,
      onHaltTimeout: 'stay',
      canaries: [],
      quarantine: true,
      kernel: 'auto',
      trapReads: 'deny-list',
      hot: [],
      contain: 'off',
      containUnavailable: 'refuse',
      probe: false,
      servers: false,
      log: { dir: '/etc/c/.countersign/activity', maxBytes: 16_777_216, keep: 50, maxAgeMs: 2_592_000_000 },
      alerts: { levels: ['HALT', 'KILL'], webhooks: [] },
    });
  });

  it('takes all of it', () => {
    expect(
      monitorOf('monitor: { poll: 1s, halt_timeout: 2m, on_halt_timeout: kill, canaries: [bait.key, ~/bait], quarantine: false }'),
    ).toMatchObject({
      pollMs: 1000,
      haltTimeoutMs: 120_000,
      onHaltTimeout: 'kill',
      canaries: ['/etc/c/bait.key', expect.stringMatching(/^\/.+\/bait$/)],
      quarantine: false,
    });
  });

  it('takes kernel control and containment', () => {
    expect(
      monitorOf(
        'monitor: { kernel: required, trap_reads: broker, hot: [node_modules, /usr], contain: landlock, contain_unavailable: warn, probe: true, servers: true }',
      ),
    ).toMatchObject({
      kernel: 'required',
      trapReads: 'broker',
      hot: ['/etc/c/node_modules', '/usr'],
      contain: 'landlock',
      containUnavailable: 'warn',
      probe: true,
    });
  });

  it.each([
    ['kernel: on', 'monitor.kernel'],
    ['kernel: true', 'monitor.kernel'],
    ['trap_reads: all', 'monitor.trap_reads'],
    ['trapReads: off', 'trapReads'],
    ['contain: docker', 'monitor.contain'],
    ['contain: true', 'monitor.contain'],
    ['contain_unavailable: ignore', 'monitor.contain_unavailable'],
    ['probe: required', 'monitor.probe'],
    ['servers: poll', 'monitor.servers'],
    ['servers: [files]', 'monitor.servers'],
    ['hot: node_modules', 'monitor.hot'],
    ["hot: ['']", 'monitor.hot'],
    ['hot: [/]', 'monitor.hot[0]: holds more than programs and packages'],
    ['hot: [/usr, //]', 'monitor.hot[1]: holds more than programs and packages'],
    ['hot: [/.]', 'holds more than programs and packages'],
    ['hot: ["~"]', 'holds more than programs and packages'],
    ['hot: [/home/]', 'holds more than programs and packages'],
    ['hot: [/proc]', 'holds more than programs and packages'],
  ])('refuses of kernel control %s', (text, message) => {
    expect(problemsOf(`monitor: { ${text} }`)).toContain(message);
  });

  it.each([
    ['mode: audit', 'audit_only'],
    ['mode: confirm', 'flag_and_hold'],
    ['mode: enforce', 'enforce_kill'],
    ['mode: audit\nscope: { behavior: { mode: enforce_kill } }', 'enforce_kill'],
    ['mode: enforce\nscope: { behavior: { mode: audit_only } }', 'audit_only'],
  ])('follows the mode of the file unless the scope says otherwise: %s', (text, mode) => {
    expect(monitorOf(text).mode).toBe(mode);
  });

  it('takes a judge, and has none otherwise', () => {
    expect(monitorOf('monitor: { judge: {} }').judge).toEqual({ model: 'qwen3:4b', timeoutMs: 30_000, maxLevel: 'HALT' });
    expect(
      monitorOf(
        'monitor: { judge: { url: "http://127.0.0.1:1", model: "llama3.2", timeout: 5s, retries: 0, max_level: kill, think: true } }',
      ).judge,
    ).toEqual({ url: 'http://127.0.0.1:1', model: 'llama3.2', timeoutMs: 5000, retries: 0, maxLevel: 'KILL', think: true });
  });

  it('takes alerts, whose secrets are secrets of the configuration', () => {
    const text =
      'monitor: { alerts: { levels: [kill], command: [notify-send, --urgency=critical], webhooks: [{ url: "https://x.example/a", secret: [{ env: HOOK }, { file: hook.key }], allow_insecure: false }] } }';
    expect(monitorOf(text).alerts).toEqual({
      levels: ['KILL'],
      command: ['notify-send', '--urgency=critical'],
      webhooks: [{ url: 'https://x.example/a', secrets: [{ env: 'HOOK' }, { file: '/etc/c/hook.key' }], allowInsecure: false }],
    });
    expect(configuredSecrets(parseConfig(`${MINIMAL}${text}\n`, { path: '/etc/c/countersign.yaml' }))).toEqual([
      { env: 'HOOK' },
      { file: '/etc/c/hook.key' },
    ]);
  });

  it.each([
    ['judge: { timeout: 99ms }', 'must be from 100ms to 10m'],
    ['judge: { timeout: 11m }', 'must be from 100ms to 10m'],
    ['judge: { timeout: soon }', 'monitor.judge.timeout'],
    ['judge: { model: "a b" }', 'a name such as qwen3:4b'],
    ['judge: { max_level: safe }', 'monitor.judge.max_level'],
    ['judge: { retries: 6 }', 'monitor.judge.retries'],
    ['judge: { modell: x }', 'model'],
    ['alerts: { levels: [safe] }', 'monitor.alerts.levels'],
    ['alerts: { command: [] }', 'monitor.alerts.command'],
    ['alerts: { command: notify-send }', 'monitor.alerts.command'],
    ['alerts: { webhooks: [{ url: "https://x.example" }] }', 'secret'],
    ['alerts: { webhooks: [{ url: "https://x.example", secret: whsec_abc }] }', 'secret'],
  ])('refuses monitor: { %s }', (text, message) => {
    expect(problemsOf(`monitor: { ${text} }`)).toContain(message);
  });

  it('takes all of the log', () => {
    expect(monitorOf('monitor: { log: { dir: ../logs, max_bytes: 1048576, keep: 2, max_age: 1h } }').log).toEqual({
      dir: '/etc/logs',
      maxBytes: 1_048_576,
      keep: 2,
      maxAgeMs: 3_600_000,
    });
  });

  it.each([
    ['{ max_age: 59m }', 'monitor.log.max_age: must be 1h or longer'],
    ['{ max_age: never }', 'monitor.log.max_age: write one whole number'],
    ['{ max_bytes: 1048575 }', 'monitor.log.max_bytes'],
    ['{ keep: 0 }', 'monitor.log.keep'],
    ["{ dir: '' }", 'monitor.log.dir'],
    ['{ maxage: 1d }', 'max_age'],
  ])('refuses a log of %s', (text, problem) => {
    expect(problemsOf(`monitor: { log: ${text} }`)).toContain(problem);
  });

  it('never waits longer by default than an approval may', () => {
    expect(monitorOf('approvals: { ttl: 1m, max_ttl: 2m }').haltTimeoutMs).toBe(120_000);
  });

  it.each([
    ['monitor: { poll: 19ms }', 'monitor.poll: must be from 20ms to 1m'],
    ['monitor: { poll: 61s }', 'monitor.poll: must be from 20ms to 1m'],
    ['monitor: { poll: fast }', 'monitor.poll: write one whole number'],
    ['monitor: { poll: 250 }', 'monitor.poll'],
    ['monitor: { halt_timeout: 2h }', 'monitor.halt_timeout: longer than 1h'],
    ['monitor: { halt_timeout: 0s }', 'monitor.halt_timeout: write one whole number'],
    ['monitor: { on_halt_timeout: resume }', 'monitor.on_halt_timeout'],
    ['monitor: { quarantine: "yes" }', 'monitor.quarantine'],
    ['monitor: { canaries: [""] }', 'monitor.canaries'],
    ['monitor: { canaries: bait }', 'monitor.canaries'],
    ['monitor: { polls: 1s }', 'poll'],
    ['monitor: { constructor: 1 }', 'constructor'],
    ['monitor: []', 'monitor'],
  ])('refuses %s', (text, message) => {
    expect(problemsOf(text)).toContain(message);
  });
});
