/** What is harmless by itself, and not after something else: labels say what a session did. */
import type { Rule } from '../../policy/rule-definition.ts';
import { ANY_TOOL, celList, celPattern, commandsShow, GOES_TO, LEAVES, NAMES_CREDENTIALS, RUNS_SCRATCH } from '../words.ts';
import { REVERSE_SHELL } from './machine.ts';
import { asks, labels } from './rule.ts';

const SURVEYS = celList([
  'whoami',
  'id',
  'hostname',
  'uname',
  'ip',
  'ifconfig',
  'ps',
  'netstat',
  'ss',
  'last',
  'w',
  'who',
  'getent',
  'sudo',
  'arp',
  'lsblk',
  'mount',
  'env',
  'route',
  'dmesg',
  'systeminfo',
  'ipconfig',
  'net',
]);
const SCANS = celList(['nmap', 'masscan', 'arp', 'arp-scan', 'getent', 'linpeas', 'nbtscan', 'enum4linux', 'rustscan', 'zmap']);
const SURVEY_PATH = String.raw`^/(?:etc/(?:passwd|group|hosts|shadow|sudoers)|proc/(?:net/.*|\d+/.*|version|mounts))?$`;
const WIDE_FOLDER = celList(['/', '/etc', '/home', '/root', '/var', '/Users', 'C:\\']);

export function sequences(): readonly Rule[] {
  const vault = `named(tool, ${celList(['secret', 'secrets', 'vault', 'keychain', 'credential', 'credentials', 'password', 'passwords'])}) && named(tool, ${celList(['get', 'read', 'list', 'fetch', 'retrieve', 'export', 'show', 'reveal'])})`;
  const download = `commands(tool, args).exists(c, "network" in shell(c).found) && runs(tool, args).exists(name, name in ${celList(['curl', 'wget', 'aria2c', 'fetch', 'scp'])}) || named(tool, ['download'])`;
  return [
    labels(
      'secret-read',
      'secret-read',
      `${NAMES_CREDENTIALS} || ${commandsShow('credentials')} || (${vault})`,
      `named(tool, ${celList(['write', 'create', 'edit'])})`,
    ),
    labels(
      'surveyed',
      'surveyed',
      `runs(tool, args).filter(name, name in ${SURVEYS}).size() >= 2 || runs(tool, args).exists(name, name in ${SCANS}) || paths(tool, args).exists(p, p.matches(${celPattern(SURVEY_PATH)})) || named(tool, ${celList(['tree', 'list', 'directory'])}) && paths(tool, args).exists(p, p in ${WIDE_FOLDER})`,
    ),
    labels(
      'dropped',
      'dropped',
      `${download} || scripts(tool, args).exists(s, "network" in shell(s).found || "downloadsAndRuns" in shell(s).found || s.matches(${celPattern(REVERSE_SHELL)}))`,
    ),
    {
      id: 'baseline.injected',
      on: 'result',
      tools: ANY_TOOL,
      when: 'result.instructions.size() > 0',
      effect: 'label',
      label: ['injected', 'untrusted'],
    },
    {
      id: 'baseline.mask-secrets',
      on: 'result',
      tools: ANY_TOOL,
      when: 'result.secrets.size() > 0',
      effect: 'mask',
      label: ['secret-read'],
    },
    asks(
      'secret-read-then-sent',
      'SECRET_READ_THEN_SENT',
      'the session read credentials, and this call sends something out',
      `'secret-read' in session.labels && sends(tool, args) && ${LEAVES}`,
    ),
    asks(
      'survey-then-sent',
      'SURVEY_THEN_SENT',
      'the session looked around this machine, and this call sends something out',
      `'surveyed' in session.labels && sends(tool, args) && ${GOES_TO}.exists(h, !host.isPrivate(h))`,
    ),
    asks(
      'dropped-then-run',
      'DROPPED_THEN_RUN',
      'the session fetched or wrote something, and this command runs it from a scratch folder',
      `'dropped' in session.labels && (${RUNS_SCRATCH})`,
    ),
    asks(
      'injected-then-sent',
      'INJECTED_THEN_SENT',
      'a result told the model what to do, and this call sends something out',
      `'injected' in session.labels && sends(tool, args) && ${LEAVES}`,
    ),
  ];
}
