/** Links within the documentation lead to a file, and to a heading of it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const README = join(ROOT, 'README.md');
const pages = [README, ...pagesIn('docs'), ...pagesIn('packages'), ...pagesIn('examples')];

describe.each(pages.map((page) => relative(ROOT, page)))('%s', (page) => {
  it('links to what is there', () => {
    expect(linksOf(join(ROOT, page)).filter(({ file, heading }) => !leads(file, heading))).toEqual([]);
  });
});

it('the README leads to every guide and every format', () => {
  const linked = new Set(linksOf(README).map(({ file }) => file));
  const all = [...pagesIn('docs/guides'), ...pagesIn('docs/formats')];
  expect(all.length).toBeGreaterThan(15);
  expect(all.filter((page) => !linked.has(page))).toEqual([]);
});

it('a link that leads nowhere is found', () => {
  expect(leads(README, 'no-such-heading')).toBe(false);
  expect(leads(join(ROOT, 'docs/nothing.md'), '')).toBe(false);
  expect(leads(README, 'the-life-of-a-call')).toBe(true);
});

function pagesIn(folder: string): readonly string[] {
  const found = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  return found.filter((name) => name.endsWith('.md') && !/node_modules|golden/.test(name)).map((name) => join(ROOT, folder, name));
}

function linksOf(page: string): readonly { readonly file: string; readonly heading: string }[] {
  return [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [path = '', heading = ''] = target.split('#');
    return [{ file: path === '' ? page : join(dirname(page), path), heading }];
  });
}

function leads(file: string, heading: string): boolean {
  if (!existsSync(file)) return false;
  return heading === '' || !file.endsWith('.md') || headingsOf(file).has(heading);
}

/** As GitHub names them. */
function headingsOf(page: string): ReadonlySet<string> {
  const named = [...prose(page).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text.toLowerCase().replaceAll(/[^\p{L}\p{N}_\- ]/gu, ''));
  return new Set(named.map((text) => text.trim().replaceAll(' ', '-')));
}

function prose(page: string): string {
  return readFileSync(page, 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
}
