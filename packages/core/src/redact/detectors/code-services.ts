/** Tokens of code hosts, package registries, build services and tools of developers. */
import { crc32 } from 'node:zlib';
import { type Detector, isVaried, outside, runEnd } from '../detector.ts';
import { runToken, shapedToken, VARIED } from './shapes.ts';

/**
 * npm's token has the form of GitHub's: thirty characters and their CRC-32 in base 62. A right checksum settles it. A wrong one
 * does not clear it, because one changed letter would then show the other thirty-five; but `npm_` also begins identifiers
 * (`npm_lifecycleEvent...`), so such a token must be mixed as those never are.
 */
const NPM_TOKEN: Detector = {
  kind: 'npm-token',
  triggers: ['npm_'],
  look(text, at) {
    const body = at + 4;
    const end = runEnd(LETTER_STOP, text, body);
    if (end - body < 36) return undefined;
    const run = text.slice(body, Math.min(end, body + 200));
    const secret = isVaried(text, body, end, VARIED) && (hasChecksum(run.slice(0, 36)) || (/\d/.test(run) && /[A-Z]/.test(run)));
    return { start: at, end, secret };
  },
};
const LETTER_STOP = outside('A-Za-z0-9');

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function hasChecksum(body: string): boolean {
  let rest = crc32(body.slice(0, 30));
  for (let i = 35; i >= 30; i--) {
    if (BASE62.charAt(rest % 62) !== body.charAt(i)) return false;
    rest = Math.floor(rest / 62);
  }
  return true;
}

export const CODE_SERVICES: readonly Detector[] = [
  // Their checksum is not asked for: behind these prefixes thirty varied characters are no ordinary text, and a token with one
  // wrong letter, or of a newer format, must not be shown.
  runToken('github-token', ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'], 'A-Za-z0-9_', 30),
  runToken(
    'gitlab-token',
    [
      'glpat-',
      'gldt-',
      'glrt-',
      'glrtr-',
      'glptt-',
      'glcbt-',
      'glft-',
      'glimt-',
      'glagent-',
      'gloas-',
      'glsoat-',
      'glffct-',
      'glwt-',
      'GR1348941',
    ],
    'A-Za-z0-9_.-',
    20,
  ),
  runToken('atlassian-token', ['ATATT3', 'ATCTT3'], 'A-Za-z0-9_=-', 60),
  runToken('bitbucket-token', ['ATBB'], 'A-Za-z0-9', 28, 'word'),
  NPM_TOKEN,
  // Macaroons of pypi.org and test.pypi.org: the base64 is their name.
  runToken('pypi-token', ['pypi-AgEIcHlwaS5vcmc', 'pypi-AgENdGVzdC5weXBpLm9yZ'], 'A-Za-z0-9_-', 40),
  runToken('crates-token', ['cio'], 'A-Za-z0-9', 32, 'word'),
  runToken('rubygems-token', ['rubygems_'], 'a-fA-F0-9', 48),
  runToken('nuget-key', ['oy2'], 'a-z0-9', 43, 'word'),
  runToken('clojars-token', ['CLOJARS_'], 'a-zA-Z0-9', 60),
  runToken('docker-token', ['dckr_pat_', 'dckr_oat_'], 'A-Za-z0-9_-', 27),
  runToken('artifactory-token', ['AKCp'], 'A-Za-z0-9', 60, 'word'),
  runToken('artifactory-token', ['cmVmdGtu'], 'A-Za-z0-9', 50, 'word'),
  shapedToken('circleci-token', ['CCIPAT_', 'CCIPRJ_'], /[A-Za-z0-9]{20,24}_[a-fA-F0-9]{40}/y),
  runToken('buildkite-token', ['bkua_'], 'a-z0-9', 40),
  runToken('sonar-token', ['sqp_', 'squ_', 'sqa_'], 'a-f0-9', 40),
  shapedToken('sourcegraph-token', ['sgp_'], /(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}/y),
  shapedToken('postman-key', ['PMAK-'], /[a-f0-9]{24}-[a-f0-9]{34}/y),
  runToken('linear-key', ['lin_api_', 'lin_oauth_'], 'A-Za-z0-9', 40),
  runToken('notion-token', ['ntn_'], 'A-Za-z0-9', 40),
  runToken('figma-token', ['figd_', 'figo_'], 'A-Za-z0-9_-', 40),
  shapedToken('airtable-token', ['pat'], /[A-Za-z0-9]{14}\.[a-f0-9]{64}/y, 'word'),
  shapedToken(
    'onepassword-key',
    ['A3-'],
    /[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}/y,
    'word',
  ),
  runToken('onepassword-key', ['ops_eyJ'], 'A-Za-z0-9+/=%_-', 100),
  runToken('prefect-key', ['pnu_'], 'A-Za-z0-9', 36),
  runToken('readme-key', ['rdme_'], 'a-z0-9', 60),
  runToken('contentful-token', ['CFPAT-'], 'A-Za-z0-9_-', 40),
  runToken('octopus-key', ['API-'], 'A-Z0-9', 26, 'word'),
  runToken('infracost-key', ['ico-'], 'A-Za-z0-9', 32, 'word'),
  shapedToken('harness-token', ['pat.', 'sat.'], /[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}/y, 'word'),
];
