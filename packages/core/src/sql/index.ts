export { analyzeSql, type SqlAnalysis } from './analyze.ts';
