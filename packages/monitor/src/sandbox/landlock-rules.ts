/**
 * A scope as Landlock can hold to it. Landlock gives, and takes nothing back of what it gave: what a scope forbids is kept by not
 * granting it. So whatever of it lies below a granted folder is told as not expressed; see `docs/guides/kernel-control.md`.
 */
import type { LandlockRules } from '../kernel/landlock.ts';
import type { Scope } from '../scope/scope.ts';
import { type Grants, grantsOf, type Kind } from './grants.ts';
import { DEVICES, KERNEL_FOLDERS, type Look, type Places, SERVICE_FOLDERS, systemSettings, THIS_HOST } from './places.ts';
import { NO_COMMANDS, NO_COUNTS, type Unexpressed } from './unexpressed.ts';

export interface LandlockTranslation {
  readonly rules: LandlockRules;
  readonly unexpressed: readonly Unexpressed[];
}

/** @param abi - of the kernel it is for, at least 1 */
export function landlockRules(scope: Scope, places: Places, abi: number, look: Look = THIS_HOST): LandlockTranslation {
  const { grants, told } = grantsOf(scope, places, look);
  for (const path of [...KERNEL_FOLDERS, ...SERVICE_FOLDERS, ...systemSettings(look)]) grants.give('read', path);
  const devices = DEVICES.filter((path) => look.real(path) !== undefined);
  const { allowedPorts } = scope.network;
  const hasPorts = allowedPorts !== undefined && abi >= ABI_OF_PORTS;
  return {
    rules: { ...grants.given(), devices, ...(hasPorts && { connectPorts: allowedPorts }) },
    unexpressed: [
      ...told,
      ...notTaken(scope, grants, places),
      ...notOfFiles(scope, abi),
      ...gapsOf(abi),
      ...(places.isRoot ? [AS_ROOT] : []),
    ],
  };
}

const ABI_OF_PORTS = 4;

function notTaken({ filesystem }: Scope, grants: Grants, { own }: Places): readonly Unexpressed[] {
  const why = 'it lies in a folder that is granted, of which nothing can be taken back';
  const ofEach = (key: Unexpressed['key'], items: readonly string[], kinds?: readonly Kind[]): readonly Unexpressed[] =>
    items.filter((item) => grants.touch(item, kinds)).map((item) => ({ key, item, why, is: 'wider' }));
  return [
    ...ofEach('forbidden_paths', filesystem.forbiddenPaths),
    ...ofEach('forbidden_writes', filesystem.forbiddenWrites, ['write']),
    ...own.filter((path) => grants.touchPath(path)).map((item): Unexpressed => ({ key: 'own_files', item, why, is: 'wider' })),
    ...filesystem.forbiddenExtensions.map(
      (item): Unexpressed => ({ key: 'forbidden_extensions', item, why: 'names are not looked at, only where a file lies', is: 'wider' }),
    ),
  ];
}

function notOfFiles({ network, process }: Scope, abi: number): readonly Unexpressed[] {
  const noHosts = 'hosts are not told apart, only ports';
  const all = (key: Unexpressed['key'], items: readonly string[] | undefined, why: string): readonly Unexpressed[] =>
    (items ?? []).map((item) => ({ key, item, why, is: 'wider' }));
  return [
    ...all('allowed_domains', network.allowedDomains, noHosts),
    ...all('forbidden_domains', network.forbiddenDomains, noHosts),
    ...(network.allowedPorts === undefined ? [] : portGaps(abi)),
    ...all('allowed_commands', process.allowedCommands, NO_COMMANDS),
    ...all('forbidden_commands', process.forbiddenCommands, NO_COMMANDS),
    { key: 'behavior', why: NO_COUNTS, is: 'wider' },
    { key: 'sockets', why: 'sockets with a path are reached, such as those of docker, an ssh agent and D-Bus', is: 'wider' },
  ];
}

function portGaps(abi: number): readonly Unexpressed[] {
  if (abi < ABI_OF_PORTS)
    return [{ key: 'allowed_ports', why: `this kernel's landlock (ABI ${abi}) knows no ports: 6.7 is needed`, is: 'wider' }];
  return [
    { key: 'allowed_ports', why: 'UDP is not looked at', is: 'wider' },
    { key: 'allowed_ports', why: 'ports of this host itself count too, which the scope leaves alone', is: 'narrower' },
  ];
}

const AS_ROOT: Unexpressed = {
  key: 'kernel',
  why: 'as root it reads the environment of other processes, and root is not held by this for long: run it as an ordinary user',
  is: 'wider',
};

/** What older kernels leave alone. */
function gapsOf(abi: number): readonly Unexpressed[] {
  const gaps: readonly (readonly [number, Unexpressed['is'], string])[] = [
    [2, 'narrower', 'nothing is moved or linked from one folder to another'],
    [3, 'wider', 'files that may not be written can be emptied (truncate)'],
    [5, 'wider', 'devices that are granted take any ioctl'],
    [6, 'wider', 'signals and abstract sockets of processes outside are reached'],
  ];
  return gaps
    .filter(([since]) => abi < since)
    .map(([since, is, what]) => ({ key: 'kernel', why: `${what}: this kernel's landlock has ABI ${abi}, and that needs ${since}`, is }));
}
