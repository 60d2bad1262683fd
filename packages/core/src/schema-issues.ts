const MAX_ISSUES_TOLD = 5;

/** What a schema found, without the values: its own words would quote them, its codes and paths do not. Begins with `: `, or is empty. */
export function schemaIssues(error: unknown): string {
  const issues: unknown = typeof error === 'object' && error !== null && 'issues' in error ? error.issues : undefined;
  if (!Array.isArray(issues)) return '';
  const told = issues.slice(0, MAX_ISSUES_TOLD).flatMap((issue: { readonly path?: unknown; readonly code?: unknown }) => {
    if (typeof issue?.code !== 'string' || !Array.isArray(issue.path)) return [];
    return [`${issue.path.map((part) => `/${String(part)}`).join('')} ${issue.code}`];
  });
  return told.length === 0 ? '' : `: ${told.join(', ')}`;
}
