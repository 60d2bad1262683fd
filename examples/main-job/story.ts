/** Telling what happens: for a person on a terminal, or as one JSON document. */
import { styleText } from 'node:util';

export interface Step {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

export class Story {
  readonly steps: Step[] = [];
  private readonly json: boolean;

  constructor(json: boolean) {
    this.json = json;
  }

  chapter(title: string): void {
    this.print(`\n${this.style('bold', title)}`);
  }

  say(text: string): void {
    this.print(`  ${text}`);
  }

  /** Records what came out beside what was stated; a false `ok` fails the whole job. */
  step(name: string, ok: boolean, detail: string): void {
    this.steps.push({ name, ok, detail });
    const mark = ok ? this.style('green', 'as stated') : this.style('red', 'NOT AS STATED');
    this.print(`  ${name.padEnd(34)} ${mark}`);
    for (const line of detail.split('\n')) this.print(`    ${this.style('dim', line)}`);
  }

  end(): boolean {
    const ok = this.steps.length > 0 && this.steps.every((step) => step.ok);
    if (this.json) process.stdout.write(`${JSON.stringify({ ok, steps: this.steps }, undefined, 2)}\n`);
    else
      this.print(
        `\n${ok ? this.style('green', `all ${this.steps.length} steps came out as stated`) : this.style('red', 'something did not come out as stated')}\n`,
      );
    return ok;
  }

  private print(line: string): void {
    if (!this.json) process.stdout.write(`${line}\n`);
  }

  private style(format: 'bold' | 'dim' | 'green' | 'red', text: string): string {
    return process.stdout.isTTY && process.env['NO_COLOR'] === undefined ? styleText(format, text) : text;
  }
}
