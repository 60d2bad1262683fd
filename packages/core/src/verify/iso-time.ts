/** A time that somebody wrote who may want to deceive, ISO 8601 UTC: those no calendar has stay numbers. */
export function isoTime(atMs: number): string {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? String(atMs) : date.toISOString();
}
