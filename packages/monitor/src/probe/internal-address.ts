import net, { BlockList } from 'node:net';

/** Addresses of this host, its network and its cloud: never those of a public name. */
const internal = new BlockList();
for (const [address, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  internal.addSubnet(address, prefix, 'ipv4');
}
for (const [address, prefix] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  internal.addSubnet(address, prefix, 'ipv6');
}

export function isInternalAddress(address: string): boolean {
  const version = net.isIP(address);
  // A mapped address (`::ffff:10.0.0.1`) is looked up as the IPv4 one it is.
  return version !== 0 && internal.check(address, version === 4 ? 'ipv4' : 'ipv6');
}
