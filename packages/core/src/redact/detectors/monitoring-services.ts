/** Tokens of services that collect logs, measures and errors. */
import type { Detector } from '../detector.ts';
import { markedToken, namedToken, runToken, shapedToken } from './shapes.ts';

/** The mark ends the token. */
const ANYTHING = /(?:)/y;

export const MONITORING_SERVICES: readonly Detector[] = [
  namedToken(
    'datadog-key',
    [
      'DD_API_KEY',
      'DD_APP_KEY',
      'DD_APPLICATION_KEY',
      'DATADOG_API_KEY',
      'DATADOG_APP_KEY',
      'datadog_api_key',
      'datadog_app_key',
      'DD-API-KEY',
      'DD-APPLICATION-KEY',
      'dd-api-key',
      'dd-application-key',
    ],
    'A-Za-z0-9',
    32,
  ),
  runToken('newrelic-key', ['NRAK-', 'NRII-', 'NRRA-', 'NRIQ-', 'NRSP-'], 'A-Za-z0-9_-', 27),
  markedToken('newrelic-key', ['NRAL'], /[a-z0-9]{36}$/, ANYTHING),
  runToken('sentry-token', ['sntrys_'], 'A-Za-z0-9+/=%_-', 60),
  runToken('sentry-token', ['sntryu_', 'sntrya_', 'sntryi_'], 'a-f0-9', 64),
  shapedToken('grafana-token', ['glsa_'], /[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}/y),
  runToken('grafana-token', ['glc_eyJ'], 'A-Za-z0-9+/=%', 32),
  // Base64 of `{"k":"`, with which every older key starts.
  runToken('grafana-token', ['eyJrIjoi'], 'A-Za-z0-9+/=%', 48),
  shapedToken('dynatrace-token', ['dt0c01.', 'dt0s01.', 'dt0s02.', 'dt0s16.'], /[A-Z0-9]{8,24}\.[A-Z0-9]{64}/y),
  namedToken('okta-token', ['OKTA_API_TOKEN', 'OKTA_CLIENT_TOKEN', 'okta_api_token'], 'A-Za-z0-9_-', 40),
  runToken('okta-token', ['SSWS 00'], 'A-Za-z0-9_-', 38),
];
