// The published SDK: its two builds behind one face, and the data that they carry.

import { Centrifuge, type Options, type TransportEndpoint } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';

import type { Protocol } from './transports';

export type { Centrifuge };
export type { ServerPublicationContext as Publication, Subscription, SubscribedContext } from 'centrifuge';

export function createClient(protocol: Protocol, endpoints: TransportEndpoint[], options: Partial<Options>): Centrifuge {
  if (protocol === 'json') return new Centrifuge(endpoints, options);
  // The same class with another codec; the package declares it twice.
  return new ProtobufCentrifuge(endpoints, options) as unknown as Centrifuge;
}

/** A payload for the wire: Protobuf clients exchange bytes, and the page keeps JSON text in them. */
export function pack(protocol: Protocol, value: unknown): unknown {
  return protocol === 'json' ? value : new TextEncoder().encode(JSON.stringify(value));
}

/** A payload from the wire; bytes that are not JSON text are shown as they are. */
export function unpack(data: unknown): unknown {
  if (!(data instanceof Uint8Array)) return data;
  const text = new TextDecoder().decode(data);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
