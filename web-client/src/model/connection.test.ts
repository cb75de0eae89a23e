import { afterEach, describe, expect, test, vi } from 'vitest';

import { parseSettings } from '../net/settings';
import { Connection, type Surroundings } from './connection';

const SETTINGS = parseSettings({
  transports: { websocket: '/connection/websocket', http_stream: '/connection/http_stream', sse: null, emulation: '/emulation' },
});

/** The far end of a WebSocket: says yes to a connect, and no to everything when it is `dead`. */
class Socket {
  static dead = false;
  static last: Socket | null = null;
  onopen: () => void = () => {};
  onclose: (event: { code: number; reason: string }) => void = () => {};
  onmessage: (event: { data: string }) => void = () => {};

  constructor(readonly url: string) {
    Socket.last = this;
    queueMicrotask(() => (Socket.dead ? this.onclose({ code: 1006, reason: '' }) : this.onopen()));
  }

  send(frame: string): void {
    const { id } = JSON.parse(frame.split('\n')[0] ?? '') as { id: number };
    this.onmessage({ data: JSON.stringify({ id, connect: { client: 'client-1', version: '0.1.0 Tidegate' } }) });
  }

  close(): void {
    queueMicrotask(() => this.onclose({ code: 1000, reason: '' }));
  }
}

/** A stream that answers the connect in its body and never ends. */
function streamOf(body: string): Response {
  const { id } = JSON.parse(body) as { id: number };
  const reply = new TextEncoder().encode(`${JSON.stringify({ id, connect: { client: 'client-2' } })}\n`);
  return new Response(new ReadableStream({ start: (controller) => controller.enqueue(reply) }));
}

function open(enabled: { websocket: boolean } = { websocket: true }): Connection {
  const around = {
    settings: SETTINGS,
    natives: { WebSocket: Socket, EventSource: class {}, fetch: (_url: string, { body }: { body: string }) => Promise.resolve(streamOf(body)) },
    page: new URL('http://localhost:8000/'),
    token: null,
  } as unknown as Surroundings;
  const connection = new Connection(around);
  connection.enable('websocket', enabled.websocket);
  connection.start();
  return connection;
}

const states = ({ route }: Connection) => Object.fromEntries(route.steps.map(({ transport, state }) => [transport, state]));

describe('Connection', () => {
  let connection: Connection;
  afterEach(() => {
    connection.stop();
    Socket.dead = false;
  });

  test('takes the first transport that opens', async () => {
    connection = open();
    await vi.waitFor(() => expect(connection.phase).toBe('connected'));
    expect(connection.negotiated).toEqual({ transport: 'websocket', protocol: 'json' });
    expect(connection.clientId).toBe('client-1');
    expect(states(connection)).toEqual({ webtransport: 'unavailable', websocket: 'open', http_stream: 'waiting', sse: 'unavailable' });
  });

  test('falls back to the next when one does not open', async () => {
    Socket.dead = true;
    connection = open();
    await vi.waitFor(() => expect(connection.phase).toBe('connected'));
    expect(states(connection)).toMatchObject({ websocket: 'failed', http_stream: 'open' });
    expect(connection.clientId).toBe('client-2');
  });

  test('leaves out what is switched off', async () => {
    connection = open({ websocket: false });
    await vi.waitFor(() => expect(connection.phase).toBe('connected'));
    expect(states(connection)).toMatchObject({ websocket: 'off', http_stream: 'open' });
  });

  test('a close code of the server is the reason that is shown', async () => {
    connection = open();
    await vi.waitFor(() => expect(connection.phase).toBe('connected'));
    Socket.last?.onclose({ code: 3503, reason: 'force disconnect' });
    await vi.waitFor(() => expect(connection.phase).toBe('ended'));
    expect(connection.reason).toBe('force disconnect (3503)');
  });

  test('comes back after a cut and counts it', async () => {
    connection = open();
    await vi.waitFor(() => expect(connection.phase).toBe('connected'));
    connection.link.cut();
    await vi.waitFor(() => expect(connection.phase).toBe('connecting'));
    connection.link.mend();
    await vi.waitFor(() => expect(connection.phase).toBe('connected'), { timeout: 5_000 });
    expect(connection.reconnects).toBe(1);
  });

  test('has nothing to try when everything is off', () => {
    connection = open();
    connection.enable('websocket', false);
    connection.enable('http_stream', false);
    connection.start();
    expect(connection.phase).toBe('ended');
    expect(connection.reason).toBe('no transport is left to try');
  });
});
