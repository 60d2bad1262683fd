# An ordinary hour of a developer, in short. Runs in an empty folder that is also the parent of HOME; see record.ts.
set -e
git init -q --bare "$TMPDIR/remote.git"
git clone -q "file://$TMPDIR/remote.git" "$PROJECT"
cd "$PROJECT"
git config user.name a
git config user.email a@example.com
mkdir -p src test lib-local
cat > package.json <<'JSON'
{ "name": "small", "version": "1.0.0", "type": "module", "scripts": { "build": "tsc -p .", "test": "vitest run --no-cache", "prepare": "node -e 0" } }
JSON
cat > tsconfig.json <<'JSON'
{ "compilerOptions": { "outDir": "dist", "rootDir": "src", "module": "nodenext", "target": "es2022", "strict": true, "declaration": true, "types": [] }, "include": ["src"] }
JSON
echo '{ "name": "lib-local", "version": "1.0.0", "main": "index.js" }' > lib-local/package.json
echo 'module.exports = 1;' > lib-local/index.js
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
  mkdir -p "src/part$n"
  echo "export const value$n: number = $n;" > "src/part$n/value$n.ts"
done
echo "export * from './part1/value1.js';" > src/index.ts
echo "import { expect, it } from 'vitest'; import { value1 } from '../src/part1/value1.ts'; it('is one', () => expect(value1).toBe(1));" > test/one.test.ts
printf 'node_modules\ndist\n' > .gitignore
git add -A
git commit -q -m first
npm install --no-audit --no-fund ./lib-local
[ -z "$WITH_REGISTRY" ] || npm install --no-audit --no-fund --ignore-scripts $WITH_REGISTRY
ln -s "$TOOLS"/vitest "$TOOLS"/vite "$TOOLS"/typescript node_modules/ 2>/dev/null || true
node "$TOOLS/typescript/bin/tsc" -p .
node "$TOOLS/vitest/vitest.mjs" run
git push -q origin HEAD
# Another branch, on which most of it is gone; back again; and once more from nothing.
git checkout -q -b lean
git rm -rq src/part2 src/part3 src/part4 src/part5 src/part6 src/part7 src/part8 src/part9 src/part10 src/part11 src/part12 src/part13 src/part14
git commit -q -m lean
git checkout -q -
git checkout -q lean
git checkout -q -
rm -rf dist
node "$TOOLS/typescript/bin/tsc" -p .
sed -i 's/= 1;/= 1; \/\/ one/' src/part1/value1.ts
git commit -qam second
git gc -q
git log --oneline | head -3
rm -rf node_modules
npm install --no-audit --no-fund
grep -rn value1 src | head -2
find . -name '*.js' -not -path './node_modules/*' | head -2
tar -cf "$TMPDIR/small.tar" dist src
npm pack --silent
