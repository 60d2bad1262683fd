/** `--listen` and what belongs to it: where clients over HTTP find the proxy, and which of them it lets in. */
import { isIP } from 'node:net';
import type { Invocation, Option } from './command.ts';
import { UsageError } from './failure.ts';

export interface ListenGiven {
  readonly port: number;
  readonly host?: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly publicUrl?: string;
}

export const LISTEN_OPTIONS: readonly Option[] = [
  {
    name: 'listen',
    kind: 'text',
    value: '[HOST:]PORT',
    about: 'serve clients over HTTP; without HOST to this machine alone',
  },
  { name: 'allow-host', kind: 'texts', value: 'HOST[:PORT]', about: 'a further name they may call it by; again for more' },
  { name: 'allow-origin', kind: 'texts', value: 'ORIGIN', about: 'a site whose pages may: https://app.example.com' },
  { name: 'public-url', kind: 'text', value: 'URL', about: 'where they find it, when that is another place: behind TLS' },
];

const MOST_PORT = 65_535;

/**
 * @returns undefined without `--listen`.
 * @throws {UsageError}
 */
export function listenAddress({ flags }: Pick<Invocation, 'flags'>): ListenGiven | undefined {
  const text = flags.text('listen');
  if (text === undefined) {
    const stray = LISTEN_OPTIONS.find(({ name }) => flags.on(name));
    if (stray !== undefined) throw new UsageError(`--${stray.name} is for clients over HTTP`, 'say where to listen: --listen 8808');
    return undefined;
  }
  const publicUrl = flags.text('public-url');
  return {
    ...addressOf(text),
    allowedHosts: flags.texts('allow-host'),
    allowedOrigins: flags.texts('allow-origin'),
    ...(publicUrl !== undefined && { publicUrl }),
  };
}

function addressOf(text: string): Pick<ListenGiven, 'port' | 'host'> {
  const [, bracketed, plain, digits] = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (digits === undefined || port > MOST_PORT || (host !== undefined && host !== 'localhost' && isIP(host) === 0))
    throw new UsageError(
      '--listen is a port, or an IP address and a port',
      'for example: --listen 8808, --listen 0.0.0.0:8808, --listen [::1]:8808',
    );
  return { port, ...(host !== undefined && { host }) };
}
