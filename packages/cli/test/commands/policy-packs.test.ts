import { PACK_NAMES, packNamed, parseConfig } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { json, run } from '../harness.ts';

describe('policy packs', () => {
  it('lists every pack with what it is for, and what it needs', async () => {
    const ran = await run(['policy', 'packs']);
    expect(ran.code).toBe(0);
    for (const name of PACK_NAMES) expect(ran.stdout).toContain(`${packNamed(name).summary} (`);
    expect(ran.stdout).toMatch(/^filesystem .*; needs root\)$/m);
    expect(json(await run(['policy', 'packs', '--json']))['packs']).toHaveLength(PACK_NAMES.length);
  });

  it.each(PACK_NAMES)('prints %s as YAML that loads and is the same policy', async (name) => {
    const ran = await run(['policy', 'packs', name]);
    expect(ran.code).toBe(0);
    const yaml = ran.stdout.slice(ran.stdout.indexOf('\npolicy:\n'));
    const copied = parseConfig(`version: 1\nagent: bot\n${yaml}`, { path: 'c.yaml' });
    const pack = packNamed(name);
    const used = parseConfig(`version: 1\nagent: bot\npolicy: { packs: [{ ${name}: ${JSON.stringify(pack.example)} }] }\n`, {
      path: 'c.yaml',
    });
    expect(copied.policyDefinition).toEqual(used.packs[0]?.definition);
    for (const option of pack.options) expect(ran.stdout).toContain(`${option.name}${option.required ? ' (required)' : ''}: `);
    expect(json(await run(['policy', 'packs', name, '--json']))).toMatchObject({ name, version: pack.version, example: pack.example });
  });

  it('suggests the nearest name', async () => {
    const ran = await run(['policy', 'packs', 'basline']);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('there is no pack "basline", did you mean "baseline"?');
  });
});
