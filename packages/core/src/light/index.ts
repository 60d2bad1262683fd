/** What code that starts in every process of a tree needs of core, without loading the rest: the preload of the monitor. */
export { clip, escapeForTerminal } from '../approval/terminal-text.ts';
export { CountersignError, type ErrorCode } from '../errors.ts';
export { type CallScope, currentCall } from '../scope.ts';
export { analyzeArguments, type ShellAnalysis } from '../shell/index.ts';
