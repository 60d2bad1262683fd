export { mayBe, type ShellAnalysis } from './analysis.ts';
export { analyzeArguments, analyzeShell } from './analyze.ts';
