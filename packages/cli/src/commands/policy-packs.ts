import { didYouMean, PACK_NAMES, type Pack, type PackName, packNamed, packRules, packYaml } from '@countersign/core';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import type { Output } from '../output.ts';
import { wrap } from '../wrap.ts';

export const policyPacks: Command = {
  name: 'policy packs',
  summary: 'rules that are ready: which packs there are, and what is in one',
  positionals: [{ name: 'name', required: false }],
  options: [],
  notes: [
    'Without a name: all packs, one line each. With one: its options, what each rule does, and all of it as YAML to copy and change. A pack with required options is shown with an example of them.',
    'To use a pack, name it in the configuration: policy: { packs: [baseline] }',
  ],
  example: 'countersign policy packs baseline',
  async run({ output, positionals }) {
    const [name] = positionals;
    if (name === undefined) return listPacks(output);
    const known = PACK_NAMES.find((each) => each === name);
    if (known === undefined)
      throw new UsageError(
        `there is no pack ${JSON.stringify(name)}${didYouMean(name, PACK_NAMES)}`,
        'all of them: countersign policy packs',
      );
    return showPack(known, output);
  },
};

type Rules = ReturnType<typeof packRules>['rules'];

function listPacks(output: Output): number {
  const packs = PACK_NAMES.map((name) => ({ name, pack: packNamed(name), rules: rulesOf(packNamed(name)) }));
  output.result({
    packs: packs.map(({ name, pack, rules }) => ({ name, summary: pack.summary, version: pack.version, rules: rules.length })),
  });
  const width = Math.max(...PACK_NAMES.map(({ length }) => length));
  for (const { name, pack, rules } of packs)
    output.line(`${output.style('bold', name.padEnd(width))}  ${pack.summary} (${rules.length} rules${needs(pack)})`);
  output.line();
  output.line('one of them, with its rules: countersign policy packs NAME');
  return EXIT.OK;
}

function needs({ options }: Pack): string {
  const required = options.filter((option) => option.required).map(({ name }) => name);
  return required.length === 0 ? '' : `; needs ${required.join(', ')}`;
}

function showPack(name: PackName, output: Output): number {
  const pack = packNamed(name);
  const set = packRules(pack, pack.example);
  const { summary, version, options, blind } = pack;
  output.result({ name, version, summary, options, example: pack.example, blind, rules: set.rules });
  output.line(`${output.style('bold', name)}: ${summary}`);
  output.line();
  output.line('options:');
  for (const option of options) output.line(`  ${option.name}${option.required ? ' (required)' : ''}: ${option.about}`);
  for (const [title, some] of groupsOf(set.rules)) {
    output.line();
    output.line(`${title}:`);
    for (const line of some) output.line(`  ${line}`);
  }
  output.line();
  output.line('it cannot see:');
  for (const each of blind)
    for (const [index, line] of wrap(each, output.columns - 4).entries()) output.line(`${index === 0 ? '  - ' : '    '}${line}`);
  output.line();
  output.line(`# as rules of your own${Object.keys(pack.example).length === 0 ? '' : `, with ${JSON.stringify(pack.example)}`}:`);
  for (const line of packYaml(set).trimEnd().split('\n')) output.line(line);
  return EXIT.OK;
}

function groupsOf(rules: Rules): readonly (readonly [string, readonly string[]])[] {
  const said = (effect: string): readonly string[] =>
    rules.filter((rule) => rule.effect === effect && rule.on !== 'result').map(({ id, reason = '' }) => `${id}: ${reason}`);
  const labels = rules
    .filter(({ label }) => label !== undefined)
    .map(({ id, label = [], on }) => `${id}: ${label.join(', ')}${on === 'result' ? ', from results' : ''}`);
  const groups: readonly (readonly [string, readonly string[]])[] = [
    ['denies', said('deny')],
    ['asks', said('require_approval')],
    ['labels sessions', labels],
  ];
  return groups.filter(([, some]) => some.length > 0);
}

function rulesOf(pack: Pack): Rules {
  return packRules(pack, pack.example).rules;
}
