/** Times and amounts, as reports write them. */

/** `2026-01-01 00:00:01Z`; a number no date can hold stays one. */
export function timeText(atMs: number): string {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? String(atMs) : `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `1d 2h`, `3m 4s`, `250ms`: the two largest units. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}

/** `1,234,567`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** `1 process`, `2 processes`. */
export function amountText(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[power]}`;
}

export const STATUS_WORDS: ReadonlyMap<string, string> = new Map([
  ['matches', 'matches the ledger'],
  ['changed', 'CHANGED: not what the ledger has the hash of'],
  ['not-recorded', 'not recorded in the ledger'],
  ['missing', 'MISSING: the ledger has its hash'],
  ['removed', 'removed, as the ledger says'],
  ['unreadable', 'cannot be read'],
]);
