/** What a server could repeat that we sent it: values of headers, and what stands behind the host in its URL, whole and in parts. */

/** Shorter ones are words. */
const MIN_SECRET_CHARS = 6;
/** Parts of a path are mostly words. */
const MIN_SECRET_PART_CHARS = 16;

/** Of a text, with each of these taken out. */
export function hidden(text: string, headers: Readonly<Record<string, string>>, urls: readonly URL[]): string {
  const secrets = [...Object.values(headers).flatMap(inHeader), ...urls.flatMap(inUrl)];
  // The longest first: one may begin with another.
  return secrets.toSorted((one, other) => other.length - one.length).reduce((told, secret) => told.replaceAll(secret, '[redacted]'), text);
}

function inHeader(value: string): readonly string[] {
  const [scheme = '', encoded = ''] = value.split(/\s+/);
  const basic = scheme.toLowerCase() === 'basic' ? Buffer.from(encoded, 'base64').toString('utf8') : '';
  return [value, ...value.split(/\s+/), basic, basic.slice(basic.indexOf(':') + 1)].filter(({ length }) => length >= MIN_SECRET_CHARS);
}

function inUrl({ pathname, search, searchParams }: URL): readonly string[] {
  const asked = search
    .slice(1)
    .split('&')
    .flatMap((each) => [each, each.slice(each.indexOf('=') + 1)]);
  const given = [...searchParams].map(([name, value]) => (value === '' ? name : value));
  const parts = pathname.split('/').flatMap((part) => [part, decoded(part)]);
  return [
    ...[pathname, search, ...asked, ...given].filter(({ length }) => length >= MIN_SECRET_CHARS),
    ...parts.filter(({ length }) => length >= MIN_SECRET_PART_CHARS),
  ];
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
