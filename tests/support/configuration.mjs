// The configuration that the scenario is written against; the Python tests read the same file.
//
// Its delays are short, so that the steps about expiry take seconds and not minutes, and its secrets guard
// nothing but test servers.

import { readFileSync } from 'node:fs';
import path from 'node:path';

const TEXT = readFileSync(new URL('./configuration.json', import.meta.url), 'utf8');
const SHARED = JSON.parse(TEXT);

export const TOKEN_SECRET = SHARED.client.token.hmac_secret_key;

/**
 * Turns it into what a developer starts with: everything is allowed in every channel, and the listener is on
 * all addresses, because a browser may take either of those that `localhost` has.
 */
export function forDevelopment(config) {
  delete config.http_server.address;
  config.client.insecure = true;
  config.channel.without_namespace = {
    presence: true,
    join_leave: true,
    force_push_join_leave: true,
    history_size: 1000,
    history_ttl: '300s',
    force_recovery: true,
  };
}

/** A fresh object each time, for the tests to change. */
export function configuration(directory) {
  const config = JSON.parse(TEXT);
  config.http_server.development_certificate.directory = path.join(directory, 'certificate');
  return config;
}
