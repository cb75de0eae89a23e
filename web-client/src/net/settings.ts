// What the server tells its test page: `tidegate.json`, next to the page.

import { TRANSPORTS, type TransportName } from './transports';

export interface Settings {
  readonly name: string;
  readonly version: string;
  /** Where QUIC listens; null when the server offers no WebTransport. */
  readonly quicPort: number | null;
  /** SHA-256 of a development certificate, which no authority vouches for. */
  readonly certificate: Uint8Array<ArrayBuffer> | null;
  /** Path of each transport; null when it is switched off. */
  readonly paths: Readonly<Record<TransportName, string | null>>;
  readonly emulation: string | null;
  /** A token to connect with, where the server hands one out to its test page. */
  readonly token: string | null;
}

export class SettingsError extends Error {}

export async function loadSettings(fetcher: typeof fetch = fetch): Promise<Settings> {
  const response = await fetcher('./tidegate.json', { cache: 'no-store' });
  if (!response.ok) throw new SettingsError(`tidegate.json: HTTP status ${response.status}`);
  return parseSettings(await response.json());
}

export function parseSettings(value: unknown): Settings {
  const root = object(value, 'tidegate.json');
  const transports = object(root['transports'], 'transports');
  const quicPort = optional(root['quic_port'], 'number', 'quic_port');
  const certificate = optional(root['certificate_sha256'], 'string', 'certificate_sha256');
  const paths = TRANSPORTS.map((name) => {
    const path = optional(transports[name], 'string', `transports.${name}`);
    return [name, name === 'webtransport' && quicPort === null ? null : path] as const;
  });
  return {
    name: optional(root['name'], 'string', 'name') ?? 'Tidegate',
    version: optional(root['version'], 'string', 'version') ?? '',
    quicPort,
    certificate: certificate === null ? null : bytes(certificate),
    paths: Object.fromEntries(paths) as Record<TransportName, string | null>,
    emulation: optional(transports['emulation'], 'string', 'transports.emulation'),
    token: optional(root['insecure_token'], 'string', 'insecure_token'),
  };
}

/** The address of a transport for a page that was loaded from `page`. */
export function endpoint(settings: Settings, name: TransportName, page: URL): string | null {
  const path = settings.paths[name];
  if (path === null) return null;
  const url = new URL(path, page.origin);
  if (name === 'websocket') url.protocol = page.protocol === 'https:' ? 'wss:' : 'ws:';
  if (name === 'webtransport') {
    url.protocol = 'https:';
    url.port = String(settings.quicPort);
  }
  return url.toString();
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new SettingsError(`${what}: expected an object, got ${JSON.stringify(value)}`);
}

interface Kinds {
  number: number;
  string: string;
}

function optional<Kind extends keyof Kinds>(value: unknown, kind: Kind, what: string): Kinds[Kind] | null {
  if (value === null || value === undefined) return null;
  if (typeof value === kind) return value as Kinds[Kind];
  throw new SettingsError(`${what}: expected a ${kind}, got ${JSON.stringify(value)}`);
}

function bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
