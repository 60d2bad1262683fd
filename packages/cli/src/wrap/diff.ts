/** What changes between two texts, as a unified diff. */

const CONTEXT_LINES = 3;
/** Edits of ours are few. Past this the whole middle counts as changed, so that two unlike files do not take for ever. */
const MAX_EDITS = 1_000;

interface Change {
  readonly kind: 'same' | 'removed' | 'added';
  readonly line: string;
}

/**
 * Lines of a unified diff with three lines of context: `--- name`, `+++ name`, `@@ -1,7 +1,9 @@`, ` kept`, `-old`, `+new`.
 * Empty when nothing changed. Lines keep a carriage return if they have one; escape them before they are shown.
 */
export function unifiedDiff(before: string, after: string, name: string): readonly string[] {
  if (before === after) return [];
  const changes = sequenceChanges(before.split('\n'), after.split('\n'));
  return [`--- ${name}`, `+++ ${name}`, ...hunks(changes)];
}

/** Lines of two texts, or words, in order: what stays, what goes and what comes. */
export function sequenceChanges(before: readonly string[], after: readonly string[]): readonly Change[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  return [
    ...before.slice(0, start).map(same),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ];
}

function same(line: string): Change {
  return { kind: 'same', line };
}

/** Greedy shortest edit script. @see E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986 */
function middle(before: readonly string[], after: readonly string[]): readonly Change[] {
  const reached: Map<number, number>[] = [];
  const furthest = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= Math.min(MAX_EDITS, before.length + after.length); edits++) {
    reached.push(new Map(furthest));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down = diagonal === -edits || (diagonal !== edits && at(furthest, diagonal - 1) < at(furthest, diagonal + 1));
      let x = down ? at(furthest, diagonal + 1) : at(furthest, diagonal - 1) + 1;
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++;
      furthest.set(diagonal, x);
      if (x >= before.length && x - diagonal >= after.length) return path(before, after, reached);
    }
  }
  return [...before.map((line) => ({ kind: 'removed' as const, line })), ...after.map((line) => ({ kind: 'added' as const, line }))];
}

function path(before: readonly string[], after: readonly string[], reached: readonly ReadonlyMap<number, number>[]): readonly Change[] {
  const changes: Change[] = [];
  let x = before.length;
  let y = after.length;
  for (let edits = reached.length - 1; edits >= 0; edits--) {
    const furthest = reached[edits] ?? new Map<number, number>();
    const diagonal = x - y;
    const down = diagonal === -edits || (diagonal !== edits && at(furthest, diagonal - 1) < at(furthest, diagonal + 1));
    const previous = down ? diagonal + 1 : diagonal - 1;
    const fromX = at(furthest, previous);
    const fromY = fromX - previous;
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      changes.push(same(before[--x] ?? ''));
      y--;
    }
    if (edits === 0) break;
    if (down) changes.push({ kind: 'added', line: after[--y] ?? '' });
    else changes.push({ kind: 'removed', line: before[--x] ?? '' });
  }
  return changes.toReversed();
}

function at(furthest: ReadonlyMap<number, number>, diagonal: number): number {
  return furthest.get(diagonal) ?? -1;
}

function hunks(changes: readonly Change[]): readonly string[] {
  const lines: string[] = [];
  let [old, fresh] = [1, 1];
  let index = 0;
  while (index < changes.length) {
    const first = changes.findIndex(({ kind }, each) => each >= index && kind !== 'same');
    if (first < 0) break;
    const start = Math.max(index, first - CONTEXT_LINES);
    let last = first;
    for (let each = first; each < changes.length && each <= last + 2 * CONTEXT_LINES; each++)
      if (changes[each]?.kind !== 'same') last = each;
    const end = Math.min(changes.length, last + 1 + CONTEXT_LINES);
    old += start - index;
    fresh += start - index;
    const shown = changes.slice(start, end);
    const removed = shown.filter(({ kind }) => kind !== 'added').length;
    const added = shown.filter(({ kind }) => kind !== 'removed').length;
    lines.push(`@@ -${removed === 0 ? old - 1 : old},${removed} +${added === 0 ? fresh - 1 : fresh},${added} @@`, ...shown.map(shownLine));
    old += removed;
    fresh += added;
    index = end;
  }
  return lines;
}

function shownLine({ kind, line }: Change): string {
  return `${kind === 'same' ? ' ' : kind === 'removed' ? '-' : '+'}${line}`;
}
