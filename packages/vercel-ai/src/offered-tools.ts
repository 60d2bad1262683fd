/** What a model is offered: not the tools of which every call would be refused, and not those that run where no guard stands. */
import type { Guard } from '@countersign/core';
import { type Identity, identityOf, type ModelMiddlewareOptions, toolRefOf } from './model-options.ts';
import type { CallParams, ModelTool, ModelWarning } from './model-types.ts';

export interface OfferedParams {
  /** The very same object when nothing was kept back. */
  readonly params: CallParams;
  /** Whose calls these are; undefined when that could not be found out. */
  readonly identity: Identity | undefined;
  readonly warnings: readonly ModelWarning[];
}

/** Names of provider tools that a warning was given about, at most. */
const MAX_TOLD = 1000;

/**
 * Never throws: when the guard cannot say what may be used, nothing is offered.
 *
 * @param told - names of stripped tools that were told before: once is enough for what stands in the program.
 */
export async function offered(
  params: CallParams,
  guard: Guard,
  options: ModelMiddlewareOptions,
  told: Set<string>,
): Promise<OfferedParams> {
  const tools = params.tools ?? [];
  let identity: Identity | undefined;
  try {
    identity = identityOf(options);
    const run = options.providerTools === 'record' ? tools : tools.filter(({ type }) => type === 'function');
    const offers = await guard.offers(
      run.map((tool) => toolRefOf(tool.name, options)),
      identity,
    );
    const kept = run.filter((_tool, index) => offers[index]?.denial === undefined);
    const { params: made, warnings } = withTools(params, kept);
    return { params: made, identity, warnings: [...stripped(tools, run, told), ...warnings] };
  } catch {
    const message = 'countersign could not find out which tools may be used: none is offered';
    const { params: without, warnings } = withTools(params, []);
    return { params: without, identity, warnings: [{ type: 'other', message }, ...warnings] };
  }
}

function stripped(tools: readonly ModelTool[], run: readonly ModelTool[], told: Set<string>): readonly ModelWarning[] {
  if (run.length === tools.length) return [];
  return tools.flatMap((tool) => {
    if (run.includes(tool) || told.has(tool.name)) return [];
    if (told.size < MAX_TOLD) told.add(tool.name);
    const details =
      "countersign does not offer tools that the provider runs, since nothing can stop them there; providerTools: 'record' does";
    return [{ type: 'unsupported', feature: `provider tool ${tool.name}`, details }];
  });
}

/** A choice of what is not offered any more is no request a provider would take. */
function withTools(params: CallParams, kept: readonly ModelTool[]): Pick<OfferedParams, 'params' | 'warnings'> {
  if (kept.length === (params.tools ?? []).length) return { params, warnings: [] };
  const { tools: _all, toolChoice, ...rest } = params;
  const names = new Set(kept.map(({ name }) => name));
  const isChosen = toolChoice?.type === 'tool' && !names.has(toolChoice.toolName);
  const warnings: ModelWarning[] = isChosen
    ? [{ type: 'other', message: `countersign: the tool that toolChoice names may not be used; the model may choose another` }]
    : [];
  if (kept.length === 0) return { params: rest, warnings };
  const choice = isChosen ? { type: 'auto' as const } : toolChoice;
  return { params: { ...rest, tools: [...kept], ...(choice !== undefined && { toolChoice: choice }) }, warnings };
}
