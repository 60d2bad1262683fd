import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ToolCall } from '../../src/call.ts';
import { createGuard, type GuardOptions, parseConfig, rulePolicy } from '../../src/index.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { rootsFrom } from '../../src/policy/roots.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { tempDirectory } from '../fixtures/ledger.ts';

const PLAIN = 'version: 1\nagent: a\npolicy: { id: p, rules: [] }\n';
const configured = (roots: string): unknown => parseConfig(`${PLAIN}roots: ${roots}\n`, { path: '/etc/c/countersign.yaml' }).roots;

describe('roots in the configuration', () => {
  it('are absolute once loaded, relative to the file', () => {
    expect(configured('{ tools: ./work, servers: { files: /data, other: ../x } }')).toEqual({
      tools: '/etc/c/work',
      servers: { files: '/data', other: '/etc/x' },
    });
    expect(parseConfig(PLAIN).roots).toEqual({});
  });

  it.each([
    ['/data'],
    ['[/data]'],
    ['{ tool: /data }'],
    ['{ tools: "" }'],
    ['{ tools: 5 }'],
    ['{ servers: [files] }'],
    ['{ servers: { files: 1 } }'],
    ['{ servers: { "": /x } }'],
  ])('refuse %s', (roots) => expect(() => configured(roots)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' })));
});

describe('roots of a guard', () => {
  it.each<[NonNullable<GuardOptions['roots']>]>([
    [{ tools: 'work' }],
    [{ tools: '' }],
    [{ servers: { files: './x' } }],
    [{ servers: { files: 5 as never } }],
  ])('must be absolute: %j', (roots) => {
    const options = { agent: 'a', policy: rulePolicy({ id: 'p', rules: [] }), store: memoryStore(), roots };
    expect(() => createGuard(options)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('go by the server in our configuration, and by nothing that looks like it', () => {
    const roots = rootsFrom({ tools: '/own', servers: { files: '/data' } });
    expect(roots.of({})).toBe('/own');
    expect(roots.of({ server: '' })).toBe('/own');
    expect(roots.of({ server: 'files' })).toBe('/data');
    for (const server of ['other', 'constructor', '__proto__', 'Files', 'files ']) expect(roots.of({ server })).toBeUndefined();
  });

  it('decide what a relative path means, and are recorded with what the disk said', async () => {
    const top = tempDirectory();
    for (const folder of ['own', 'data', 'secret']) mkdirSync(join(top, folder));
    symlinkSync('../secret', join(top, 'data', 'out'));
    const store = memoryStore({ clock: fixedClock() });
    const guard = createGuard({
      agent: 'tester',
      session: 's1',
      policy: rulePolicy({ id: 'p', rules: [{ id: 'in', tools: ['read', '*/read'], when: `path.within(args.p, '.')`, effect: 'allow' }] }),
      store,
      roots: { tools: join(top, 'own'), servers: { files: join(top, 'data') } },
    });
    const effect = async (p: string, server?: string): Promise<string> => {
      const call: ToolCall = { tool: { name: 'read', ...(server !== undefined && { server }) }, args: { p } };
      const { decision } = await guard.authorize(call);
      return decision.effect;
    };
    expect(await effect('x.txt')).toBe('allow');
    expect(await effect('x.txt', 'files')).toBe('allow');
    expect(await effect(join(top, 'data', 'x'), 'files')).toBe('allow');
    expect(await effect('x.txt', 'other')).toBe('deny');
    expect(await effect(join(top, 'data', 'x'))).toBe('deny');
    expect(await effect('../secret/x', 'files')).toBe('deny');
    expect(await effect('out/x', 'files')).toBe('deny');
    const facts = [...store.openings().values()].map(({ sections }) => sections['facts']);
    expect(facts[1]).toEqual({
      lookups: {
        [`path:${top}/data`]: `${top}/data`,
        [`path:${top}/data/x.txt`]: `${top}/data/x.txt`,
        'root:files': `${top}/data`,
      },
    });
    expect(facts.at(-1)).toMatchObject({ lookups: { [`path:${top}/data/out/x`]: `${top}/secret/x` } });
  });
});

describe('annotations in a condition', () => {
  it.each([
    ['annotations.readonlyHint', /annotations has no "readonlyHint", did you mean "readOnlyHint"/],
    ['annotations["destructive"]', /annotations has no "destructive"/],
    ['has(annotations.openWorld) && annotations.openWorld', /annotations has no "openWorld"/],
    ['annotations.constructor == null', /annotations has no "constructor"/],
  ])('%s is refused when it is loaded', (source, message) => expect(() => compileCondition(source, 'w')).toThrow(message));

  it.each([['title'], ['readOnlyHint'], ['destructiveHint'], ['idempotentHint'], ['openWorldHint']])('%s is known', (name) =>
    expect(() => compileCondition(`has(annotations.${name})`, 'w')).not.toThrow(),
  );
});
