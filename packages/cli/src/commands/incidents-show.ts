import { CountersignError, createRedactor, escapeJson } from '@countersign/core';
import { type IncidentDocument, incidentIds, readIncident } from '@countersign/monitor';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { incidentLines } from '../watch/incident-lines.ts';
import { LOG_DIR_OPTION, logPlace } from '../watch/log-place.ts';

/** Fewer digits name nothing. */
const MIN_PREFIX = 4;

export const incidentsShow: Command = {
  name: 'incidents show',
  summary: 'tell one incident: what was done, what led to it, what became of it',
  positionals: [{ name: 'id', required: false }],
  options: [{ name: 'all', kind: 'switch', about: 'the whole timeline, all processes and descriptors' }, LOG_DIR_OPTION],
  notes: ['Without an id the newest one. The first digits of an id will do. With --json the file as it is: docs/formats/incident.md.'],
  example: 'countersign incidents show 3f9a1c20',
  async run(invocation) {
    const { output, flags, positionals } = invocation;
    const { dir, config } = logPlace(invocation);
    const incident = find(dir, positionals[0]);
    if (output.json) {
      output.raw();
      await output.data(`${escapeJson(JSON.stringify(incident))}\n`);
      return EXIT.OK;
    }
    const redactor = createRedactor(config?.redaction ?? {});
    for (const line of incidentLines(incident, output, redactor, flags.on('all'))) output.line(line);
    return EXIT.OK;
  },
};

function find(dir: string, given: string | undefined): IncidentDocument {
  const all = incidentIds(dir);
  if (given === undefined) {
    const [newest] = all;
    if (newest === undefined) throw new CountersignError('INCIDENT_NOT_FOUND', `there is no incident in ${dir}`);
    return readIncident(dir, newest.id);
  }
  const named = given.length >= MIN_PREFIX ? all.filter(({ id }) => id.startsWith(given)) : [];
  if (named.length > 1) throw new CountersignError('INCIDENT_NOT_FOUND', `${named.length} incidents begin with ${given}: give more of it`);
  return readIncident(dir, named[0]?.id ?? given);
}
