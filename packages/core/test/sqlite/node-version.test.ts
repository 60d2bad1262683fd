import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { requireNode } from '../../src/sqlite/node-version.ts';

it.each(['20.20.2', '21.7.3', '22.0.0', '22.14.9', '0.12.18', ''])('refuses Node %s, and says what to install', (version) => {
  expect(() => requireNode(version)).toThrow(
    expect.objectContaining({ code: 'LEDGER_UNREADABLE', message: expect.stringContaining('install Node 22.15 or newer') }),
  );
});

it.each(['22.15.0', '22.21.1', '23.0.0', '24.21.0', '26.1.0-nightly2026'])('takes Node %s', (version) => {
  expect(() => requireNode(version)).not.toThrow();
});

it('takes the Node of these tests, and asks for no other than the package does', () => {
  expect(() => requireNode()).not.toThrow();
  const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(engines.node).toBe('>=22.15');
});
