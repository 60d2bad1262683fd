/**
 * What `register.cjs` runs before anything else in a Node process or thread that was started below a probe.
 *
 * Without a scope that is whole everything is refused that would be judged, and stderr says why: whoever set this up meant it.
 */
import { ruleEngine } from '../rules/engine.ts';
import type { Verdict } from '../verdict.ts';
import { openChannel } from './channel.ts';
import { HANDOVER_VARIABLE } from './child-environment.ts';
import { childrenOf } from './children.ts';
import { type Handover, readHandover } from './handover.ts';
import { installProbe } from './install.ts';
import { originals } from './originals.ts';
import { FileSink, Report } from './report.ts';

const INSTALLED = Symbol.for('countersign.probe.preloaded');

/** Once per thread, however often it is required. */
export function preload(): void {
  if (Reflect.has(globalThis, INSTALLED)) return;
  Object.defineProperty(globalThis, INSTALLED, { value: true });
  const reference = process.env[HANDOVER_VARIABLE] ?? '';
  let handover: Handover;
  let report: Report;
  try {
    handover = readHandover(reference);
    const { tells } = handover;
    report = new Report('folder' in tells ? new FileSink(tells.folder) : openChannel(tells.channel));
    if (process.execArgv.some((flag) => /^--expose[-_]internals$/.test(flag))) throw new Error('--expose-internals gets below the probe');
  } catch (error) {
    refuseAll(error instanceof Error ? error.message : String(error), reference);
    return;
  }
  const engine = ruleEngine(handover.scope, handover.rules);
  installProbe({
    judge: (activity) => engine.judge(activity),
    emit: (activity, verdict) => report.add(activity, verdict),
    mode: handover.mode,
    tellsNames: 'channel' in handover.tells,
    children: childrenOf(reference, handover.run),
    preloaded: true,
  });
  process.on('exit', () => report.end());
}

function refuseAll(why: string, reference: string): void {
  originals.writeSync(2, `countersign: the probe refuses everything in process ${process.pid}: ${why}\n`);
  const verdict: Verdict = { level: 'HALT', rule: 'probe-no-scope', reason: why, evaluator: 'rules', confidence: 1, evidence: [] };
  installProbe({ judge: () => verdict, emit: () => {}, children: childrenOf(reference), preloaded: true });
}
