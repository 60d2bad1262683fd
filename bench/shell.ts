/**
 * Judging a shell command / parsing it, on commands as agents send them: one-liners, pipelines, loops, here-documents, a
 * nested shell, a short script. Nothing is remembered between calls.
 *
 * unbash parses words and substitutions when somebody looks at them. The bare parse is therefore one whose tree was read to its
 * last node, as any judgement must; the same against `parse()` alone, which leaves that work undone, stands beside it
 * without a bound.
 */
import { analyzeShell } from '@countersign/core';
import { forEachChild, parse, type SyntaxNode } from 'unbash';
import { atMost, type Claim, printed } from './figure.ts';
import { timeRatio } from './measure.ts';

const COMMANDS: readonly string[] = [
  'ls -la src | head -20',
  'git add -A && git commit -m "core: fix the parser" && git push origin HEAD',
  'npm run build --workspace=packages/core 2>&1 | tail -40',
  "find . -name '*.ts' -not -path './node_modules/*' | xargs grep -n TODO",
  "sed -i 's/foo/bar/g' src/app.ts src/other.ts",
  "curl -s -H 'accept: application/json' https://api.ours.example/v1/items?limit=10 | jq '.items[] | .id'",
  'for f in packages/*/; do (cd "$f" && npm test) || exit 1; done',
  'if [ -f package-lock.json ]; then npm ci; else npm install; fi',
  'VERSION=1.2.3; docker build -t "app:$VERSION" . && docker push "app:$VERSION"',
  "cat > src/config.ts <<'EOF'\nexport const port = 3000;\nexport const host = 'localhost';\nEOF",
  'sudo env NODE_ENV=production bash -c "cd /srv/app && node server.js > app.log 2>&1"',
  'kubectl get pods -n staging -o json | jq -r ".items[].metadata.name" | sort',
  'rm -rf dist build && mkdir -p dist',
  'set -euo pipefail\nexport NODE_ENV=test\nbuild() { npm run build; }\nbuild\nwhile read -r line; do\n  echo "> $line"\ndone < list.txt\ncase "$1" in\n  all) npm test ;;\n  *) npx vitest run "$1" ;;\nesac\ntar czf "release-$(date +%F).tgz" dist',
];

const whole = 'judging a shell command / parsing it to the last node';
const lazy = 'judging a shell command / parsing it and looking at nothing';

export const shellClaims: readonly Claim[] = [
  { name: whole, measure: async () => atMost(whole, await timeRatio(judging, parsingAll, { count: 50 }), 4) },
  { name: lazy, measure: async () => printed(lazy, await timeRatio(judging, parsing, { count: 50 })) },
];

function judging(count: number): void {
  for (let i = 0; i < count; i++) for (const command of COMMANDS) void analyzeShell(command);
}

function parsing(count: number): void {
  for (let i = 0; i < count; i++) for (const command of COMMANDS) void parse(command);
}

function parsingAll(count: number): void {
  for (let i = 0; i < count; i++) for (const command of COMMANDS) visit(parse(command));
}

function visit(node: SyntaxNode): void {
  forEachChild(node, visit);
}
