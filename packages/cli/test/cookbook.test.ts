/** The cookbook: every recipe is a file of tests that passes, and none of its rules is there without a case. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runPolicyTests } from '@countersign/core/testing';
import { describe, expect, it } from 'vitest';

const FOLDER = new URL('../../../examples/policies/', import.meta.url);
const recipes = readdirSync(FOLDER).filter((name) => name.endsWith('.policy-test.yaml'));

describe.each(recipes)('examples/policies/%s', (name) => {
  const path = fileURLToPath(new URL(name, FOLDER));

  it('passes, and each of its rules decides a case', async () => {
    const { cases, rules, decisive } = await runPolicyTests(path);
    const failing = cases.filter(({ isOk }) => !isOk).map((each) => [each.name, each.steps.map(({ differences }) => differences)]);
    expect(failing).toEqual([]);
    expect(cases.length).toBeGreaterThan(0);
    expect(rules.filter((rule) => !decisive.has(rule))).toEqual([]);
  });
});

it('has recipes, and the guide names each of them', () => {
  const guide = readFileSync(new URL('../../../docs/guides/policies.md', import.meta.url), 'utf8');
  const named = [...guide.matchAll(/examples\/policies\/([\w-]+\.policy-test\.yaml)\)/g)].map(([, name]) => name);
  expect(recipes.length).toBeGreaterThan(0);
  expect(new Set(named)).toEqual(new Set(recipes));
});
