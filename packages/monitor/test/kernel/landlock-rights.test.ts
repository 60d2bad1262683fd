import { expect, it } from 'vitest';
import { landlockRights, ofFile } from '../../src/kernel/landlock-rights.ts';

const bits = (value: bigint): readonly number[] => [...Array(64).keys()].filter((bit) => (value >> BigInt(bit)) & 1n);

it.each([
  [1, 12, []],
  [2, 13, []],
  [3, 14, []],
  [4, 14, [1]],
  [5, 15, [1]],
  [6, 15, [1]],
  [7, 15, [1]],
  [99, 15, [1]],
])('ABI %i takes away bits 0 to %i of files, and of the network %j', (abi, last, network) => {
  const rights = landlockRights(abi);
  expect(bits(rights.files)).toEqual([...Array(last + 1).keys()]);
  expect(bits(rights.network)).toEqual(network);
  expect(bits(rights.scoped)).toEqual(abi >= 6 ? [0, 1] : []);
});

it('no rule of any ABI holds what the ABI does not know, or lets a device be made', () => {
  for (let abi = 1; abi <= 10; abi++) {
    const { files, read, exec, write, device } = landlockRights(abi);
    for (const rights of [read, exec, write, device]) {
      expect(rights & ~files).toBe(0n);
      expect(bits(rights)).not.toContain(6);
      expect(bits(rights)).not.toContain(11);
    }
    expect(read & exec).toBe(read);
    expect(exec & write).toBe(exec);
    for (const right of [1, 4, 5, 7, 8, 9, 10, 12, 13]) expect(bits(exec)).not.toContain(right);
  }
});

it('of a file only what the kernel takes in a rule about one', () => {
  expect(bits(ofFile(landlockRights(7).write))).toEqual([0, 1, 2, 14]);
  expect(bits(ofFile(landlockRights(7).device))).toEqual([1, 2, 14, 15]);
});
