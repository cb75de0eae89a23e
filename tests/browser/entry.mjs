// The script of the page that runs the shared scenario in a browser; the test calls `runInPage`.

import { Centrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';

import { runStep } from '../scenario/index.mjs';

const { WebTransport, WebSocket, EventSource, tidegateCall, tidegateSign } = globalThis;

/** `certificate`: SHA-256 hash of the server's certificate, base64, which WebTransport is to trust. */
globalThis.runInPage = (step, transport, certificate) => {
  const hash = Uint8Array.from(atob(certificate), (character) => character.charCodeAt(0));
  return runStep(step, {
    Centrifuge: transport.protocol === 'protobuf' ? ProtobufCentrifuge : Centrifuge,
    transport,
    platform: {
      WebSocket,
      EventSource,
      fetch: globalThis.fetch.bind(globalThis),
      openWebTransport: (url) =>
        new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }] }),
    },
    call: tidegateCall,
    sign: tidegateSign,
  });
};
