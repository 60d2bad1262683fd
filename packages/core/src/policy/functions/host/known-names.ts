/** Names of hosts that say something without being looked up. */
import { isMetadataAddress, isPrivateAddress } from './address.ts';
import { type Address, addressOf } from './host-text.ts';

/** Ends of names that never leave the machine or the local network. */
const PRIVATE_SUFFIXES: ReadonlySet<string> = new Set([
  'localhost',
  'localdomain',
  'local',
  'internal',
  'home.arpa',
  'lan',
  'intranet',
  'corp',
  'home',
  'private',
  'svc',
]);

const METADATA_NAMES: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
  'metadata.azure.internal',
  'metadata.azure.com',
  'metadata.tencentyun.com',
  'metadata.packet.net',
  'metadata.platformequinix.com',
  'api.metadata.cloud.ibm.com',
  'rancher-metadata',
]);

/** Any name below these is answered with the address that the name spells. */
const SPELLED_ADDRESS: ReadonlySet<string> = new Set(['nip.io', 'sslip.io', 'xip.io', 'xip.name', 'traefik.me', 'backname.io', 'ip6.name']);
/** Any name below these is answered with an address of the own machine, or with changing ones. */
const INWARD: ReadonlySet<string> = new Set([
  'localtest.me',
  'lvh.me',
  'vcap.me',
  'lacolhost.com',
  'localh.st',
  'localho.st',
  'fuf.me',
  'spoofed.burpcollaborator.net',
  'bugbounty.dod.network',
  'rbndr.us',
  '1u.ms',
]);

/** A name without a dot, or below a suffix that only the local network knows, or that public DNS leads inward. */
export function isPrivateName(name: string): boolean {
  if (!name.includes('.') || endsIn(name, PRIVATE_SUFFIXES) || endsIn(name, INWARD)) return true;
  const spelled = spelledAddress(name);
  if (spelled !== undefined) return isPrivateAddress(spelled);
  // Below a service that answers with what a name spells, and spelled in a way that is not understood here.
  return endsIn(name, SPELLED_ADDRESS);
}

export function isMetadataName(name: string): boolean {
  if (METADATA_NAMES.has(name)) return true;
  const spelled = spelledAddress(name);
  return spelled !== undefined && isMetadataAddress(spelled);
}

/** Names whose owner lets the name itself choose the address: the way around a list of names, and to rebinding. */
export function isWildcardDnsName(name: string): boolean {
  if (endsIn(name, SPELLED_ADDRESS) || endsIn(name, INWARD)) return true;
  const spelled = spelledAddress(name);
  return spelled !== undefined && isPrivateAddress(spelled);
}

function endsIn(name: string, suffixes: ReadonlySet<string>): boolean {
  for (let at = -1; ; ) {
    if (suffixes.has(name.slice(at + 1))) return true;
    at = name.indexOf('.', at + 1);
    if (at < 0) return false;
  }
}

/** `10.0.0.1.nip.io`, `app-10-0-0-1.sslip.io`, `0a000001.nip.io`; under other domains only a whole label or `ip-10-0-0-1`. */
function spelledAddress(name: string): Address | undefined {
  const isService = endsIn(name, SPELLED_ADDRESS);
  const dotted = addressOf(/(?:^|[.-])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\./.exec(name)?.[1] ?? '');
  if (dotted !== undefined) return dotted;
  const dashes = isService ? /(?:^|[.-])(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})\./ : /(?:^|\.)(?:ip-)?(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})\./;
  const dashed = addressOf((dashes.exec(name)?.[1] ?? '').replaceAll('-', '.'));
  if (dashed !== undefined || !isService) return dashed;
  const hex = /(?:^|[.-])([0-9a-f]{8})\./.exec(name)?.[1];
  return hex === undefined ? undefined : addressOf([...Buffer.from(hex, 'hex')].join('.'));
}
