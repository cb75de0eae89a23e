// The configuration that the scenario is written against; the Python tests read the same file.
//
// Its delays are short, so that the steps about expiry take seconds and not minutes, and its secrets guard
// nothing but test servers.

import { readFileSync } from 'node:fs';
import path from 'node:path';

const TEXT = readFileSync(new URL('./configuration.json', import.meta.url), 'utf8');
const SHARED = JSON.parse(TEXT);

export const API_KEY = SHARED.http_api.key;
export const TOKEN_SECRET = SHARED.client.token.hmac_secret_key;

/** A fresh object each time, for the tests to change. */
export function configuration(directory) {
  const config = JSON.parse(TEXT);
  config.http_server.development_certificate.directory = path.join(directory, 'certificate');
  return config;
}
