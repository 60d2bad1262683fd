/**
 * The probe in an agent that `run` starts, without a change to it: its environment makes every Node program of it load the probe before
 * anything else, with the scope of the session and a channel to tell by. Programs that are not Node take no notice.
 */
import { closeSync, existsSync, openSync, readSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CountersignError } from '@countersign/core';
import type { Observation } from '../activity.ts';
import { native, nativeMissing } from '../native/native.ts';
import { HANDOVER_VARIABLE, withPreload } from '../probe/child-environment.ts';
import { childrenOf } from '../probe/children.ts';
import { writeHandover } from '../probe/handover.ts';
import { type Sensor, sensorThrough } from '../sensor.ts';
import type { ProcReader } from '../tree/proc-fs.ts';
import type { TrackedTree } from '../tree/tracked-tree.ts';
import { hostsLines } from './hosts-file.ts';
import { ProbeListener } from './probe-listener.ts';
import { isNode, ProbeSensor, type Program } from './probe-sensor.ts';
import type { WatchOptions } from './watch-options.ts';

export interface RunProbe {
  /** Of what it is, and what it is not. One line. */
  readonly says: string;
  /** What Node programs read for it. Absolute, links followed. */
  readonly files: readonly string[];
  /** The same, with an agent that will carry it. */
  into(options: WatchOptions): WatchOptions;
  sensor(tree: TrackedTree, reader: ProcReader): Sensor;
  /** The same, without what programs do only because they carry it. */
  without(sensor: Sensor): Sensor;
  /** Programs that start from then on refuse everything. */
  close(): Promise<void>;
}

/**
 * @returns undefined where nobody asked for it, or nothing is launched.
 * @throws {CountersignError} `MONITOR_UNAVAILABLE`: it was asked for, and cannot be had
 */
export async function openRunProbe(options: WatchOptions): Promise<RunProbe | undefined> {
  const { target, probe = false, scope, mode, home, own, ledger } = options;
  if (!probe || !('launch' in target)) return undefined;
  const calls = native()?.kernel;
  if (calls === undefined)
    throw new CountersignError(
      'MONITOR_UNAVAILABLE',
      `the probe cannot tell who tells it something: ${nativeMissing() ?? 'koffi is missing'}`,
    );
  const { launch } = target;
  // What a guard of the agent's own uses is judged here, where it is known who is one.
  const shared = new Set([...(own.guards?.files ?? []), ...(own.guards?.afterLease ?? [])]);
  let channel = '';
  const handover = writeHandover((folder) => {
    channel = join(folder, 'channel');
    return {
      v: 1,
      // The canaries are left out on purpose: any program of the tree can read this, and would know what not to touch.
      scope,
      rules: {
        workspace: options.workspace ?? launch.cwd,
        home,
        hosts: hostsLines(),
        own: { files: own.files.filter((file) => !shared.has(file)) },
      },
      mode,
      tells: { channel },
      run: ledger.session,
    };
  });
  const inherited = childrenOf(handover.reference, ledger.session);
  let listener: ProbeListener<Program>;
  try {
    listener = await ProbeListener.listen<Program>(channel, (fd) => calls.peerOf(fd));
  } catch (error) {
    handover.remove();
    throw error;
  }
  const code = codeFolders();
  const isAgentNode = isNodeProgram(launch.program);
  return {
    says: isAgentNode ? IN_NODE : `${NOT_NODE}; ${IN_NODE}`,
    files: [...code, handover.folder],
    into: (given) => ({
      ...given,
      target: {
        launch: {
          ...launch,
          env: {
            ...launch.env,
            NODE_OPTIONS: withPreload(launch.env['NODE_OPTIONS'], inherited),
            [HANDOVER_VARIABLE]: handover.reference,
          },
        },
      },
    }),
    sensor: (tree, reader) => new ProbeSensor({ tree, reader, listener, mode, isAgentNode }),
    without: (sensor) => withoutOwnUse(sensor, { channel, read: [...code, handover.folder] }),
    close: async () => {
      await listener.stop();
      handover.remove();
    },
  };
}

const IN_NODE =
  'Node programs ask the rules before they act, from inside; a hostile one can get past that, and what is not Node does not ask';
const NOT_NODE = 'THE AGENT ITSELF IS NO NODE PROGRAM, and has no probe';

const MAX_FIRST_LINE = 256;

/** A file that is Node, or a script that says that Node runs it. */
export function isNodeProgram(program: string): boolean {
  try {
    const real = realpathSync(program);
    if (isNode(real)) return true;
    const fd = openSync(real, 'r');
    try {
      const bytes = Buffer.alloc(MAX_FIRST_LINE);
      const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
      const [line = ''] = text.split('\n', 1);
      return line.startsWith('#!') && line.slice(2).split(/\s+/).some(isNode);
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}

/** This package and core, where they lie: what the preload is made of. */
function codeFolders(): readonly string[] {
  return [import.meta.url, import.meta.resolve('@countersign/core/light')].map((url) => {
    const file = realpathSync(fileURLToPath(url));
    let folder = dirname(file);
    while (folder !== '/' && !existsSync(join(folder, 'package.json'))) folder = dirname(folder);
    return folder === '/' ? dirname(file) : folder;
  });
}

function withoutOwnUse(sensor: Sensor, { channel, read }: { readonly channel: string; readonly read: readonly string[] }): Sensor {
  const isRead = (path: string): boolean => read.some((folder) => path === folder || path.startsWith(`${folder}/`));
  const isOurs = ({ action }: Observation): boolean => {
    if (action.kind === 'connect') return action.protocol === 'unix' && action.address === channel;
    return action.kind === 'read' && isRead(action.path) && isRead(action.resolved ?? action.path);
  };
  return sensorThrough(sensor, (emit) => (observation, judged) => {
    if (judged?.isHeld === true || !isOurs(observation)) emit(observation, judged);
  });
}
