import { describe, expect, it } from 'vitest';
import { Gatekeeper, OWN_SHUT_MS } from '../../src/kernel/gatekeeper.ts';
import { CONTROL_WORDS, GATE } from '../../src/kernel/supervisor-protocol.ts';

function kept() {
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT));
  const clock = { ms: 5_000 };
  const shut = (is: boolean): void => void Atomics.store(control, GATE, is ? 1 : 0);
  return { gate: new Gatekeeper(control, () => clock.ms), clock, shut };
}

describe('the gate', () => {
  it('is shut while the warden says so', () => {
    const { gate, shut } = kept();
    expect(gate.isShut).toBe(false);
    shut(true);
    expect([gate.isShut, gate.isShutByWarden, gate.msLeft]).toEqual([true, true, 0]);
    shut(false);
    expect(gate.isShut).toBe(false);
  });

  it('is shut from the moment on in which something is found that stops a tree, and by nothing else that is found', () => {
    const { gate } = kept();
    gate.found(false);
    expect(gate.isShut).toBe(false);
    gate.found(true);
    expect([gate.isShut, gate.isShutByWarden, gate.msLeft]).toEqual([true, false, OWN_SHUT_MS]);
  });

  it('stays shut until the warden opens it, which takes over in between', () => {
    const { gate, clock, shut } = kept();
    gate.found(true);
    shut(true);
    gate.changed(1);
    clock.ms += 10 * OWN_SHUT_MS;
    expect(gate.isShut).toBe(true);
    shut(false);
    gate.changed(1);
    expect(gate.isShut).toBe(false);
  });

  it('is not opened for what the warden had not heard of when it opened it', () => {
    const { gate, shut } = kept();
    gate.found(true);
    shut(true);
    gate.changed(1);
    shut(false);
    // Found before the word to open arrives.
    gate.found(true);
    gate.changed(1);
    expect(gate.isShut).toBe(true);
    shut(true);
    gate.changed(2);
    shut(false);
    gate.changed(2);
    expect(gate.isShut).toBe(false);
  });

  it('opens when the warden answered and froze nothing, and not when it did', () => {
    const { gate, shut } = kept();
    gate.found(true);
    gate.answered();
    expect(gate.isShut).toBe(false);
    gate.found(true);
    shut(true);
    gate.answered();
    expect(gate.isShut).toBe(true);
    shut(false);
    expect(gate.isShut).toBe(true);
  });

  it('opens by itself when the warden says nothing at all', () => {
    const { gate, clock } = kept();
    gate.found(true);
    clock.ms += OWN_SHUT_MS - 1;
    expect([gate.isShut, gate.msLeft]).toEqual([true, 1]);
    clock.ms += 1;
    expect([gate.isShut, gate.msLeft]).toEqual([false, 0]);
  });
});
