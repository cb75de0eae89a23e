import { describe, expect, test } from 'vitest';

import { endpoint, loadSettings, parseSettings, SettingsError } from './settings';

const FILE = {
  name: 'Tidegate',
  version: '0.1.0 Tidegate',
  secure: false,
  quic_port: 8443,
  certificate_sha256: btoa('\u0001\u0002\u00ff'),
  transports: {
    webtransport: '/connection/webtransport',
    websocket: '/connection/websocket',
    http_stream: '/connection/http_stream',
    sse: null,
    emulation: '/emulation',
  },
  insecure_token: null,
};

describe('parseSettings', () => {
  test('reads what the server writes', () => {
    const settings = parseSettings(FILE);
    expect(settings).toMatchObject({ name: 'Tidegate', version: '0.1.0 Tidegate', quicPort: 8443, token: null });
    expect([...(settings.certificate ?? [])]).toEqual([1, 2, 255]);
    expect(settings.paths).toEqual({ ...FILE.transports, emulation: undefined });
  });

  test('has no WebTransport without a QUIC port', () => {
    expect(parseSettings({ ...FILE, quic_port: null }).paths.webtransport).toBeNull();
  });

  test.each([
    [null, 'tidegate.json'],
    [{ ...FILE, transports: 'all' }, 'transports'],
    [{ ...FILE, quic_port: '8443' }, 'quic_port'],
    [{ ...FILE, transports: { websocket: 1 } }, 'transports.websocket'],
  ])('names what is wrong in %j', (value, place) => {
    expect(() => parseSettings(value)).toThrow(SettingsError);
    expect(() => parseSettings(value)).toThrow(`${place}: expected`);
  });
});

test('loadSettings tells the status when there is no file', async () => {
  const missing = async () => new Response('', { status: 404 });
  await expect(loadSettings(missing)).rejects.toThrow('tidegate.json: HTTP status 404');
});

describe('endpoint', () => {
  const settings = parseSettings(FILE);

  test('follows the page for what runs over TCP, and the QUIC port for WebTransport', () => {
    const page = new URL('http://localhost:8000/some/prefix/');
    expect(endpoint(settings, 'websocket', page)).toBe('ws://localhost:8000/connection/websocket');
    expect(endpoint(settings, 'http_stream', page)).toBe('http://localhost:8000/connection/http_stream');
    expect(endpoint(settings, 'webtransport', page)).toBe('https://localhost:8443/connection/webtransport');
    expect(endpoint(settings, 'sse', page)).toBeNull();
  });

  test('stays secure on a secure page', () => {
    const page = new URL('https://example.org/');
    expect(endpoint(settings, 'websocket', page)).toBe('wss://example.org/connection/websocket');
  });
});
