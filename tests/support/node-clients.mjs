// The published SDK in Node: which class for which protocol, and the constructors that Node has not.

import { Centrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import { EventSource } from 'eventsource';
import { WebSocket } from 'ws';

import { sign } from './token.mjs';

const platform = { WebSocket, EventSource, fetch: globalThis.fetch };

/** The setup that `runStep` of the scenario takes. */
export function nodeSetup(server, transportName, protocol) {
  return {
    Centrifuge: protocol === 'protobuf' ? ProtobufCentrifuge : Centrifuge,
    transport: server.transport(transportName, protocol),
    platform,
    call: server.call,
    sign,
  };
}
