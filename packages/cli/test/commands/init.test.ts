import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, readSigner } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { folder, json, run } from '../harness.ts';

describe('init', () => {
  it('says so when a ledger is there that another program made', async () => {
    const cwd = folder();
    mkdirSync(join(cwd, '.countersign'));
    expect((await run(['init', '--agent', 'a'], { cwd })).stdout).not.toContain('there already');
    writeFileSync(join(cwd, '.countersign/ledger.db'), '');
    const { code, stdout } = await run(['init', '--agent', 'a', '--force'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toContain(
      'note: .countersign/ledger.db is there already; `countersign doctor` says whether it is of this agent and key',
    );
  });

  it('writes a configuration that loads, a key that signs, and says that nothing is blocked yet', async () => {
    const cwd = folder();
    const ran = await run(['init', '--agent', 'billing-bot'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toContain('NOTHING IS BLOCKED YET: mode is audit');
    expect(ran.stdout).toContain('`mode: enforce`');
    const config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
    expect(config).toMatchObject({ agent: 'billing-bot', mode: 'audit', ledger: { origin: 'countersign.local/billing-bot' } });
    const key = join(cwd, '.countersign/ledger.key');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(statSync(join(cwd, '.countersign')).mode & 0o777).toBe(0o700);
    expect(readFileSync(`${key}.pub`, 'utf8').trim()).toBe(readSigner(key, config.ledger.origin).vkey);
  });

  it('has this JSON shape', async () => {
    const cwd = folder();
    const result = json(await run(['init', '--agent', 'a', '--json'], { cwd }));
    expect(Object.keys(result)).toEqual(['config', 'agent', 'mode', 'key', 'key_created', 'vkey', 'gitignore']);
    expect(result).toMatchObject({
      config: join(cwd, 'countersign.yaml'),
      agent: 'a',
      mode: 'audit',
      key_created: true,
      gitignore: 'none',
    });
  });

  it('overwrites nothing without --force, and no key ever', async () => {
    const cwd = folder();
    await run(['init', '--agent', 'a'], { cwd });
    const key = readFileSync(join(cwd, '.countersign/ledger.key'), 'utf8');
    writeFileSync(join(cwd, 'countersign.yaml'), '# mine\n');
    const refused = await run(['init', '--agent', 'b'], { cwd });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('exists already and was left as it is [FILE_EXISTS]\n  next: ');
    expect(readFileSync(join(cwd, 'countersign.yaml'), 'utf8')).toBe('# mine\n');

    const forced = await run(['init', '--agent', 'b', '--force'], { cwd });
    expect(forced.code).toBe(0);
    expect(forced.stdout).toContain('kept  .countersign/ledger.key');
    expect(readFileSync(join(cwd, 'countersign.yaml'), 'utf8')).toContain('agent: "b"');
    expect(readFileSync(join(cwd, '.countersign/ledger.key'), 'utf8')).toBe(key);
  });

  it('adds the folder to a .gitignore that is there, once', async () => {
    const cwd = folder();
    writeFileSync(join(cwd, '.gitignore'), 'dist');
    await run(['init', '--agent', 'a'], { cwd });
    await run(['init', '--agent', 'a', '--force'], { cwd });
    expect(readFileSync(join(cwd, '.gitignore'), 'utf8')).toBe('dist\n.countersign/\n');
  });

  it('makes no .gitignore', async () => {
    const cwd = folder();
    const ran = await run(['init', '--agent', 'a'], { cwd });
    expect(existsSync(join(cwd, '.gitignore'))).toBe(false);
    expect(ran.stdout).toContain('keep .countersign/ out of version control');
  });

  it.each(['a b', 'x"\nmode: enforce', '', '${x}', 'a'.repeat(200), '\u202e', '- x'])(
    'refuses the agent name %j and writes nothing',
    async (name) => {
      const cwd = folder();
      const ran = await run(['init', `--agent=${name}`], { cwd });
      expect(ran.code).toBeGreaterThan(0);
      expect(existsSync(join(cwd, 'countersign.yaml'))).toBe(false);
      expect(existsSync(join(cwd, '.countersign'))).toBe(false);
    },
  );

  it.each([
    ['my agent (v2)!', 'my-agent-v2'],
    ['日本', 'my-agent'],
  ])('takes a folder called %j for agent %s', async (name, agent) => {
    const cwd = join(folder(), name);
    mkdirSync(cwd);
    expect(json(await run(['init', '--json'], { cwd }))['agent']).toBe(agent);
  });
});
