import type { ToolRef } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { evaluationRequest, MAX_REQUEST_BYTES } from '../../src/authzen/request.ts';
import { policyInput } from './decision-point.ts';

function resource(tool: ToolRef): { readonly id: string } {
  return JSON.parse(evaluationRequest(policyInput({ tool }))).resource;
}

describe('resource id', () => {
  const tools = [
    { name: 'fs' },
    { name: 'fs/read' },
    { name: 'fs%2Fread' },
    { server: 'fs', name: 'read' },
    { server: 'fs/read', name: '' },
    { server: '', name: 'fs/read' },
    { server: 'fs', name: '/read' },
    { server: 'fs%', name: '2Fread' },
  ];

  it('is different for every different tool', () => {
    const ids = tools.map((tool) => resource(tool).id);
    expect(new Set(ids).size).toBe(tools.length);
  });

  it('is the plain pattern of the configuration for ordinary names', () => {
    expect(resource({ server: 'fs', name: 'read_file', schema: 'ab' })).toStrictEqual({
      type: 'tool',
      id: 'fs/read_file',
      properties: { server: 'fs', name: 'read_file', schema: 'ab' },
    });
    expect(resource({ name: 'refund' })).toMatchObject({ id: 'refund' });
  });
});

describe('body', () => {
  it('leaves out what is not known', () => {
    const { principal: _principal, ...input } = policyInput();
    expect(JSON.parse(evaluationRequest(input)).subject).toStrictEqual({ type: 'agent', id: 'billing-bot', properties: {} });
  });

  it('holds the declared cost', () => {
    expect(JSON.parse(evaluationRequest(policyInput({ cost: 2_500_000 }))).action.properties).toMatchObject({ cost: 2_500_000 });
  });

  it('counts bytes, not characters', () => {
    expect(() => evaluationRequest(policyInput({ args: 'é'.repeat(MAX_REQUEST_BYTES / 2) }))).toThrow('would exceed 1048576 bytes');
    expect(() => evaluationRequest(policyInput({ args: 'e'.repeat(MAX_REQUEST_BYTES / 2) }))).not.toThrow();
  });

  it('holds hostile names as data', () => {
    const args = JSON.parse('{"__proto__":{"polluted":true},"constructor":1}');
    const body = evaluationRequest(policyInput({ args, agent: '"},"decision":true,"x":{"y":"' }));
    expect(JSON.parse(body).action.properties.args).toStrictEqual(args);
    expect(JSON.parse(body)).not.toHaveProperty('decision');
  });
});
