/** A handful of scenarios, direct and through the proxy. All of them: `npm run conformance`. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { differences, summary } from '../compare.ts';
import { wanted } from '../own-checks.ts';
import { SERVERS, type Served } from '../servers.ts';
import { type Check, runSuite, SUITES } from '../suites.ts';
import { TRANSPORTS } from '../transports.ts';
import { type Workplace, workplace } from '../workplace.ts';

const fixture = named(SERVERS, 'fixture');
const httpToHttp = named(TRANSPORTS, 'http-http');
const [sessions, stateless] = [named(SUITES, '0.1.16'), named(SUITES, 'next 2026-07-28')];
let itself: Served;
let proxy: Served;
let place: Workplace;
beforeAll(async () => {
  itself = await fixture.http();
  place = workplace([
    '{ id: all, tools: ["fixture/*"], effect: allow }',
    '{ id: no-images, tools: ["fixture/test_image_content"], effect: deny }',
  ]);
  proxy = await httpToHttp.start({ server: fixture, url: itself.url, workplace: place });
});
afterAll(async () => {
  await proxy.close();
  await itself.close();
  place.remove();
});

it.each([
  { suite: sessions, scenario: 'tools-call-with-progress', passed: 1 },
  { suite: sessions, scenario: 'tools-call-elicitation', passed: 1 },
  { suite: sessions, scenario: 'elicitation-sep1330-enums', passed: 5 },
  { suite: stateless, scenario: 'input-required-result-multi-round', passed: 3 },
  { suite: stateless, scenario: 'http-custom-header-server-validation', passed: 10 },
])('suite $suite.name says the same of the server and of the proxy before it: $scenario', async ({ suite, scenario, passed }) => {
  const [direct, proxied] = [await runSuite(suite, itself.url, scenario), await runSuite(suite, proxy.url, scenario)];
  expect(summary(direct)).toMatchObject({ failed: 0, warned: 0 });
  expect(summary(direct).passed).toBeGreaterThanOrEqual(passed);
  expect(differences(direct, proxied)).toEqual([]);
});

it('a call that policy refuses is a difference, so what is compared went through the proxy', async () => {
  const [direct, proxied] = [
    await runSuite(sessions, itself.url, 'tools-call-image'),
    await runSuite(sessions, proxy.url, 'tools-call-image'),
  ];
  expect(differences(direct, proxied)).toMatchObject([
    { scenario: 'tools-call-image', direct: 'SUCCESS', proxied: expect.stringMatching(/^FAILURE: No image content found/) },
  ]);
});

it('every call of these runs is in a ledger that verifies', async () => {
  const report = await place.verify();
  expect(report).toMatchObject({ status: 'valid', authorship: 'proven', problem_count: 0 });
  // The image, and three that say something else in their headers than in their message.
  expect(report.counts.refused).toBe(4);
  // One in each scenario of 2025, one in three rounds, and those with a header that is as it should be.
  expect(report.counts.allowed).toBeGreaterThanOrEqual(7);
});

it('the whole suite without sessions says the same of the proxy before the server over stdio', { timeout: 120_000 }, async () => {
  const allowing = workplace(['{ id: all, tools: ["fixture/*"], effect: allow }']);
  const bridge = await named(TRANSPORTS, 'http-stdio').start({ server: fixture, url: itself.url, workplace: allowing });
  try {
    const [direct, proxied] = [await runSuite(stateless, itself.url), await runSuite(stateless, bridge.url)];
    expect(summary(direct).passed).toBeGreaterThanOrEqual(160);
    expect(differences(direct, proxied).filter((each) => wanted(each, true) === undefined)).toEqual([]);
  } finally {
    await bridge.close();
    allowing.remove();
  }
});

it('checks that are missing, that came to it, or that say something else are differences', () => {
  const check = (id: string, status: string, message = ''): Check => ({ scenario: 's', id, name: 'N', status, message });
  expect(differences([check('a', 'SUCCESS')], [check('a', 'SUCCESS')])).toEqual([]);
  expect(differences([check('a', 'SUCCESS')], [])).toEqual([{ scenario: 's', check: 'a N', direct: 'SUCCESS', proxied: undefined }]);
  expect(differences([], [check('a', 'SUCCESS')])).toEqual([{ scenario: 's', check: 'a N', direct: undefined, proxied: 'SUCCESS' }]);
  expect(differences([check('a', 'FAILURE', 'x')], [check('a', 'FAILURE', 'y')])).toHaveLength(1);
  // The same check, made twice in a scenario.
  expect(differences([check('a', 'SUCCESS'), check('a', 'SUCCESS')], [check('a', 'SUCCESS')])).toHaveLength(1);
  expect(differences([check('a', 'SUCCESS'), check('a', 'FAILURE')], [check('a', 'FAILURE'), check('a', 'SUCCESS')])).toHaveLength(1);
});

it('what the proxy checks by itself may get better, and nothing else may change', () => {
  const rebinding = { scenario: 'dns-rebinding-protection', check: 'localhost-host-rebinding-rejected DNSRebindingRejected' };
  const wire = { scenario: 'tasks-request-headers', check: 'wire-schema-valid WireSchemaValid' };
  expect(wanted({ ...rebinding, direct: 'FAILURE: got 200', proxied: 'SUCCESS' })).toMatch(/other hosts/);
  expect(wanted({ ...rebinding, direct: 'SUCCESS', proxied: 'FAILURE: got 200' })).toBeUndefined();
  expect(wanted({ ...rebinding, direct: 'FAILURE: got 200', proxied: 'FAILURE: got 500' })).toBeUndefined();
  expect(wanted({ ...rebinding, direct: 'FAILURE: got 200', proxied: undefined })).toBeUndefined();
  expect(wanted({ ...rebinding, direct: undefined, proxied: 'SUCCESS' })).toBeUndefined();
  expect(wanted({ scenario: 'ping', check: 'ping Ping', direct: 'FAILURE: x', proxied: 'SUCCESS' })).toBeUndefined();
  const polling = { scenario: 'server-sse-polling', check: 'x', direct: 'SUCCESS' };
  expect(wanted({ ...polling, proxied: 'INFO' }, true)).toMatch(/no streams/);
  expect(wanted({ ...polling, proxied: 'INFO' }, false)).toBeUndefined();
  expect(wanted({ ...polling, proxied: 'INFO; FAILURE: x' }, true)).toBeUndefined();
  expect(wanted({ ...wire, direct: 'FAILURE: a\na', proxied: 'FAILURE: a' })).toBeDefined();
  expect(wanted({ ...wire, direct: 'FAILURE: a\na', proxied: 'FAILURE: b' })).toBeUndefined();
  expect(wanted({ ...wire, direct: 'FAILURE: a', proxied: 'FAILURE: a\na' })).toBeUndefined();
});

it('the server over stdio does not look at the version of a later request, without any proxy', async () => {
  const [program, ...args] = fixture.stdio;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ask = (id: number, version: string): void => {
    const _meta = { 'io.modelcontextprotocol/protocolVersion': version, 'io.modelcontextprotocol/clientCapabilities': {} };
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method: 'prompts/list', params: { _meta } })}\n`);
  };
  try {
    const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
    for (const [id, version] of [
      [1, '2026-07-28'],
      [2, 'v999.0.0'],
    ] as const) {
      ask(id, version);
      const { value } = await answers.next();
      expect(JSON.parse(value ?? '')).toMatchObject({ id, result: { prompts: expect.any(Array) } });
    }
  } finally {
    child.kill('SIGKILL');
  }
});

it('a suite that checked nothing is an error, not an empty difference', async () => {
  await expect(runSuite(sessions, itself.url, 'no-such-scenario')).rejects.toThrow(/checked nothing/);
});

function named<T extends { readonly name: string }>(all: readonly T[], name: string): T {
  const found = all.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}
