/** What a launched agent is held by before it does something: as was asked for on the command line, else by the configuration. */
import type { Config } from '@countersign/core';
import type { WatchOptions } from '@countersign/monitor';
import type { Flags, Option } from '../command.ts';
import { UsageError } from '../failure.ts';

export const KERNEL_OPTIONS: readonly Option[] = [
  {
    name: 'kernel',
    kind: 'text',
    value: 'WHEN',
    about: 'hold what it does before it happens: auto (where this host can), off or required',
  },
  {
    name: 'trap-reads',
    kind: 'text',
    value: 'HOW',
    about: 'opens for reading: off, deny-list (judged first) or broker (opened for it)',
  },
  { name: 'probe', kind: 'switch', about: 'Node programs ask the rules from inside too, before they act; no boundary' },
  { name: 'contain', kind: 'text', value: 'BY', about: 'shut the agent in, besides: off, landlock, srt or auto' },
];

type Settings = Config['monitor'];

const KERNEL: ReadonlySet<Settings['kernel']> = new Set(['auto', 'off', 'required']);
const TRAP_READS: ReadonlySet<Settings['trapReads']> = new Set(['off', 'deny-list', 'broker']);
const CONTAIN: ReadonlySet<Settings['contain']> = new Set(['off', 'landlock', 'srt', 'auto']);

/** Whether what was asked for is there to be asked for, before anything else is done. @throws {UsageError} */
export function checkKernelFlags(flags: Flags): void {
  oneOf(flags, 'kernel', KERNEL);
  oneOf(flags, 'trap-reads', TRAP_READS);
  oneOf(flags, 'contain', CONTAIN);
}

/** Undefined: none, as was asked for. @throws {UsageError} */
export function kernelOf(flags: Flags, settings: Settings): WatchOptions['kernel'] {
  const when = oneOf(flags, 'kernel', KERNEL) ?? settings.kernel;
  const trapReads = oneOf(flags, 'trap-reads', TRAP_READS) ?? settings.trapReads;
  if (when === 'off') return undefined;
  return { trapReads, hot: settings.hot, whenMissing: when === 'required' ? 'refuse' : 'without' };
}

/** Undefined: nothing, as was asked for. @throws {UsageError} */
export function containOf(flags: Flags, settings: Settings): WatchOptions['contain'] {
  const by = oneOf(flags, 'contain', CONTAIN) ?? settings.contain;
  return by === 'off' ? undefined : { by, whenMissing: settings.containUnavailable === 'warn' ? 'without' : 'refuse' };
}

/** Undefined: no. */
export function probeOf(flags: Flags, settings: Settings): WatchOptions['probe'] {
  return flags.on('probe') || settings.probe ? true : undefined;
}

function oneOf<T extends string>(flags: Flags, name: string, known: ReadonlySet<T>): T | undefined {
  const given = flags.text(name);
  if (given === undefined) return undefined;
  const found = [...known].find((each) => each === given);
  if (found === undefined) throw new UsageError(`--${name} ${JSON.stringify(given)} is none`, `use ${[...known].join(', ')}`);
  return found;
}
