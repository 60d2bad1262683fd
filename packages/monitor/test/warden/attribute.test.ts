import { describe, expect, it } from 'vitest';
import type { Attribution, Observation } from '../../src/activity.ts';
import { attribute, MAX_CANDIDATES } from '../../src/warden/attribute.ts';
import { FakeTree } from './fakes.ts';

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);

function seen(more: Partial<Observation> = {}): Observation {
  return { at: 1, sensor: 's', phase: 'after', actor: { pid: 101, start: 2 }, action: { kind: 'read', path: '/x' }, ...more };
}

function treeWith(attribution: Attribution): FakeTree {
  const tree = new FakeTree();
  tree.all = [{ pid: 101, start: 2, attribution }];
  return tree;
}

describe('which call it belongs to', () => {
  it('what the sensor knows comes first', () => {
    const attribution = { method: 'scope', call: A } as const;
    expect(attribute(seen({ attribution }), treeWith({ method: 'marker', call: B }), [])).toEqual(attribution);
  });

  it('then the marker of the process, or of an ancestor', () => {
    expect(attribute(seen(), treeWith({ method: 'tree', call: B }), [A])).toEqual({ method: 'tree', call: B });
  });

  it('not that of another process with the pid', () => {
    expect(attribute(seen({ actor: { pid: 101, start: 3 } }), treeWith({ method: 'marker', call: B }), [])).toEqual({ method: 'none' });
  });

  it('then the only call there is, else candidates, else nothing', () => {
    const tree = treeWith({ method: 'none' });
    expect(attribute(seen(), tree, [A])).toEqual({ method: 'window', call: A });
    expect(attribute(seen(), tree, [A, B])).toEqual({ method: 'window', candidates: [A, B] });
    expect(attribute(seen(), tree, [])).toEqual({ method: 'none' });
    expect(attribute(seen({ actor: undefined } as never), tree, [])).toEqual({ method: 'none' });
  });

  it('keeps no more candidates than a bound', () => {
    const many = Array.from({ length: MAX_CANDIDATES + 50 }, (_, i) => i.toString(16).padStart(32, '0'));
    expect(attribute(seen(), new FakeTree(), many).candidates).toHaveLength(MAX_CANDIDATES);
  });

  it.each(['', 'x', 'A'.repeat(32), `${'a'.repeat(32)}\n`, 'a'.repeat(100_000), '__proto__', '../../etc'])(
    'a marker that is no id of a call is none: %j',
    (call) => {
      const attribution = { method: 'marker', call } as const;
      expect(attribute(seen({ attribution }), treeWith(attribution), [])).toEqual({ method: 'none' });
    },
  );
});
