// The transports, in the order in which the page falls back from one to the next.

export type TransportName = 'webtransport' | 'websocket' | 'http_stream' | 'sse';
export type Protocol = 'json' | 'protobuf';

export const TRANSPORTS: readonly TransportName[] = ['webtransport', 'websocket', 'http_stream', 'sse'];

export const LABELS: Readonly<Record<TransportName, string>> = {
  webtransport: 'WebTransport',
  websocket: 'WebSocket',
  http_stream: 'HTTP-streaming',
  sse: 'SSE',
};

/** What lies beneath, in a few words, for people who meet these names for the first time. */
export const NOTES: Readonly<Record<TransportName, string>> = {
  webtransport: 'HTTP/3 over QUIC',
  websocket: 'one TCP connection',
  http_stream: 'a response that never ends',
  sse: 'EventSource, JSON only',
};

export const PROTOCOL_LABELS: Readonly<Record<Protocol, string>> = { json: 'JSON', protobuf: 'Protobuf' };

/** Server-sent events are text; there is no Protobuf over them. */
export function carries(transport: TransportName, protocol: Protocol): boolean {
  return transport !== 'sse' || protocol === 'json';
}

export function isTransportName(value: unknown): value is TransportName {
  return TRANSPORTS.some((name) => name === value);
}
