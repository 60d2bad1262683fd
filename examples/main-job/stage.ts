/** The stage: a workspace with files, a configuration, keys, the real `countersign` command and an MCP client behind it. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { Stop } from './shop.ts';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const AGENTS = fileURLToPath(new URL('./agents.ts', import.meta.url));
const SERVER = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-filesystem/dist/index.js'));
const NODE = ['--conditions=@countersign/source', '--no-warnings'];

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolAnswer {
  readonly isError: boolean;
  readonly text: string;
  readonly reasonCode: string | undefined;
  readonly approvalId: string | undefined;
}

export class Stage {
  /** What the MCP server may see; Countersign's own files lie inside it on purpose. */
  readonly workspace: string;
  readonly ledger: string;
  readonly outside: string;
  readonly config: string;
  private readonly env: Record<string, string>;
  private client: Client | undefined;

  constructor() {
    // realpath: the server resolves links, and some systems' temporary directory is one.
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-main-job-')));
    this.workspace = join(root, 'workspace');
    this.outside = join(root, 'outside');
    this.config = join(this.workspace, 'countersign.yaml');
    this.ledger = join(this.workspace, '.countersign', 'ledger.db');
    const { PATH = '', HOME = '' } = process.env;
    this.env = { PATH, HOME, COUNTERSIGN_STATE_DIR: join(root, 'state'), NO_COLOR: '1' };
    for (const folder of [this.workspace, this.outside, join(this.workspace, 'published')]) mkdirSync(folder, { recursive: true });
    writeFileSync(join(this.workspace, 'notes.txt'), 'Ship on Friday.\n');
  }

  /** Runs `countersign` as a person would. */
  countersign(...args: readonly string[]): Promise<CommandResult> {
    return this.run([CLI, ...args]);
  }

  private run(program: readonly string[]): Promise<CommandResult> {
    return new Promise((done) => {
      execFile(process.execPath, [...NODE, ...program], { cwd: this.workspace, env: this.env }, (error, stdout, stderr) => {
        done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, stdout, stderr });
      });
    });
  }

  /** Runs the process of both agents to its end. An approver's command would refuse to answer from inside of it. */
  async agents(step: 'start' | 'resume'): Promise<readonly Stop[]> {
    const { code, stdout, stderr } = await this.run([AGENTS, this.config, this.outside, step]);
    if (code !== 0) throw new Error(`the process of the agents ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as readonly Stop[];
  }

  /** What the agents really ordered, a line each. */
  orders(): readonly string[] {
    const file = join(this.outside, 'orders.txt');
    return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  }

  /** Starts `countersign proxy` around the real filesystem server and connects the SDK's client to it. */
  async connect(): Promise<readonly string[]> {
    const client = new Client({ name: 'main-job', version: '1.0.0' });
    const proxy = ['proxy', '--config', this.config, '--server', 'files', '--', process.execPath, SERVER, this.workspace];
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [...NODE, CLI, ...proxy],
        env: this.env,
        cwd: this.workspace,
        stderr: 'ignore',
      }),
    );
    this.client = client;
    const { tools } = await client.listTools();
    return tools.map((tool) => tool.name);
  }

  async call(name: string, args: Record<string, unknown>): Promise<ToolAnswer> {
    if (this.client === undefined) throw new Error('connect first');
    const result = await this.client.callTool({ name, arguments: args });
    const content = Array.isArray(result.content) ? result.content : [];
    const text = content.map((part: { readonly text?: unknown }) => (typeof part.text === 'string' ? part.text : '')).join('');
    const meta = (key: string): string | undefined => {
      const value = result._meta?.[`countersign/${key}`];
      return typeof value === 'string' ? value : undefined;
    };
    return { isError: result.isError === true, text, reasonCode: meta('reasonCode'), approvalId: meta('approvalId') };
  }

  async disconnect(): Promise<void> {
    await this.client?.close();
    this.client = undefined;
  }
}
