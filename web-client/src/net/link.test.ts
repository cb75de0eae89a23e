import { describe, expect, test, vi } from 'vitest';

import { Link, LinkCut, type Natives } from './link';

const STREAM = 'http://localhost/connection/http_stream';

class FakeSocket {
  close = vi.fn();
}

class FakeSource {
  close = vi.fn();
  onerror = vi.fn();
}

function setup() {
  const requests: { url: string; signal: AbortSignal }[] = [];
  const fetcher = (url: string, { signal }: { signal: AbortSignal }) => {
    requests.push({ url, signal });
    return Promise.resolve(new Response());
  };
  const natives = { WebSocket: FakeSocket, EventSource: FakeSource, fetch: fetcher } as unknown as Natives;
  const link = new Link(natives, STREAM);
  const attempts: string[] = [];
  link.onAttempt = (transport) => attempts.push(transport);
  return { link, attempts, requests, dependencies: link.dependencies() };
}

describe('Link', () => {
  test('closes what is open when it is cut', () => {
    const { link, dependencies } = setup();
    const socket: FakeSocket = new dependencies.websocket('ws://localhost');
    link.cut();
    expect(socket.close).toHaveBeenCalledOnce();
  });

  test('tells an EventSource that it has failed, which closing alone does not', () => {
    const { link, dependencies } = setup();
    const source: FakeSource = new dependencies.eventsource('http://localhost');
    link.cut();
    expect(source.close).toHaveBeenCalledOnce();
    expect(source.onerror).toHaveBeenCalledOnce();
  });

  test('aborts requests, and those of the client abort as before', async () => {
    const { link, dependencies, requests } = setup();
    const own = new AbortController();
    await dependencies.fetch(STREAM, { signal: own.signal });
    await dependencies.fetch('http://localhost/emulation', {});
    own.abort();
    expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    link.cut();
    expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });

  test('refuses to open while it is cut, and opens again once mended', async () => {
    const { link, dependencies } = setup();
    link.cut();
    expect(() => new dependencies.websocket('ws://localhost')).toThrow(LinkCut);
    await expect(dependencies.fetch(STREAM)).rejects.toThrow(LinkCut);
    link.mend();
    expect(new dependencies.websocket('ws://localhost')).toBeInstanceOf(FakeSocket);
    await expect(dependencies.fetch(STREAM)).resolves.toBeInstanceOf(Response);
  });

  test('reports attempts, refused ones too, and no commands', async () => {
    const { link, dependencies, attempts } = setup();
    new dependencies.websocket('ws://localhost');
    await dependencies.fetch('http://localhost/emulation');
    await dependencies.fetch(STREAM);
    link.cut();
    expect(() => new dependencies.eventsource('http://localhost')).toThrow();
    expect(attempts).toEqual(['websocket', 'http_stream', 'sse']);
  });
});
