import { describe, expect, test } from 'vitest';

import { Route } from './route';

function route(): Route {
  return new Route([
    { transport: 'webtransport', enabled: true, obstacle: 'not supported by this browser' },
    { transport: 'websocket', enabled: true, obstacle: null },
    { transport: 'http_stream', enabled: true, obstacle: null },
    { transport: 'sse', enabled: false, obstacle: null },
  ]);
}

const states = (of: Route) => of.steps.map(({ state }) => state);

describe('Route', () => {
  test('offers what is neither off nor unavailable', () => {
    expect(route().usable).toEqual(['websocket', 'http_stream']);
    expect(states(route())).toEqual(['unavailable', 'waiting', 'waiting', 'off']);
  });

  test('shows what was tried and what won, and how long it took', () => {
    const tried = route();
    tried.tried('websocket', 100);
    expect(states(tried)[1]).toBe('trying');
    tried.failed('websocket', 'connect timeout', 150);
    tried.tried('http_stream', 150);
    tried.connected('http_stream', 158);
    expect(states(tried)).toEqual(['unavailable', 'failed', 'open', 'off']);
    expect(tried.steps[1]).toMatchObject({ note: 'connect timeout', tookMs: 50 });
    expect(tried.steps[2]).toMatchObject({ tookMs: 8 });
    expect(tried.open).toBe('http_stream');
  });

  test('an attempt that another follows has failed', () => {
    const tried = route();
    tried.tried('websocket', 0);
    tried.tried('http_stream', 10);
    expect(tried.steps[1]).toMatchObject({ state: 'failed', note: 'no answer' });
  });

  test('a new attempt means that nothing is open', () => {
    const tried = route();
    tried.connected('websocket', 0);
    tried.tried('http_stream', 10);
    expect(states(tried)).toEqual(['unavailable', 'waiting', 'trying', 'off']);
    expect(tried.open).toBeNull();
  });

  test('a stop keeps the failures for reading', () => {
    const tried = route();
    tried.failed('websocket', 'refused', 0);
    tried.connected('http_stream', 0);
    tried.stopped();
    expect(states(tried)).toEqual(['unavailable', 'failed', 'waiting', 'off']);
  });
});
