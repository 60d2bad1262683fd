/** The page: one document, one script, one style sheet, built when the server starts. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Hono } from 'hono';

const DOCUMENT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Shop assistant</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/style.css">
<div id="page"></div>
<script type="module" src="/page.js"></script>
</html>
`;

/** Only our own script runs, whatever a model, a tool or a history puts into the page. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export async function pageFiles(): Promise<Hono> {
  const [script, style] = await Promise.all([(built ??= bundle()), readFile(new URL('./page/style.css', import.meta.url), 'utf8')]);
  const served = (content: string, type: string): Response =>
    new Response(content, {
      headers: {
        'content-type': `${type}; charset=utf-8`,
        'content-security-policy': POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      },
    });
  return new Hono()
    .get('/', () => served(DOCUMENT, 'text/html'))
    .get('/page.js', () => served(script, 'text/javascript'))
    .get('/style.css', () => served(style, 'text/css'));
}

/** The script, once per process. */
let built: Promise<string> | undefined;

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./page/main.tsx', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    minify: true,
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'error',
  });
  return outputFiles[0]?.text ?? '';
}
