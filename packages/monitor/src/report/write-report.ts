/** A report in one of its forms. */
import { escapeJson } from '@countersign/core';
import { gatherReport, type ReportOptions } from './gather.ts';
import { reportHtml } from './html.ts';
import { reportMarkdown } from './markdown.ts';
import type { Report } from './report.ts';

export const REPORT_FORMATS = ['html', 'json', 'md'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/**
 * A report of a period, as text to be written to a file: HTML that stands alone, JSON, or Markdown.
 *
 * @throws {CountersignError} `ACTIVITY_LOG_FAILED`; what the ledger's records throw.
 */
export function makeReport(options: ReportOptions): Report {
  return gatherReport(options);
}

/** Every text in it is escaped for the form. */
export function reportText(report: Report, format: ReportFormat): string {
  switch (format) {
    case 'html':
      return reportHtml(report);
    case 'json':
      return `${escapeJson(JSON.stringify(report))}\n`;
    case 'md':
      return reportMarkdown(report);
  }
}
