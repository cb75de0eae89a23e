import { expect, test, vi } from 'vitest';

import { Link, type Natives } from './link';
import { installWebTransport, onLink } from './webtransport';

const ADDRESS = 'https://localhost:8000/connection/webtransport';

function install(certificate: Uint8Array<ArrayBuffer> | null) {
  const calls: { url: string; options: WebTransportOptions }[] = [];
  const close = vi.fn();
  const Native = function (url: string, options: WebTransportOptions) {
    calls.push({ url, options });
    return { close };
  };
  const scope = { WebTransport: Native as unknown as typeof WebTransport };
  installWebTransport(certificate, scope);
  return { scope, calls, close };
}

test('the hash of the certificate is added', () => {
  const { scope, calls } = install(new Uint8Array([1, 2]));
  new scope.WebTransport(ADDRESS);
  expect(calls).toEqual([
    { url: ADDRESS, options: { serverCertificateHashes: [{ algorithm: 'sha-256', value: new Uint8Array([1, 2]) }] } },
  ]);
});

test('a certificate of an authority needs no hash', () => {
  const { scope, calls } = install(null);
  new scope.WebTransport(ADDRESS);
  expect(calls[0]?.options).toEqual({});
});

test('the transport is on its link, of which the server learns nothing', () => {
  const { scope, calls, close } = install(null);
  const link = new Link({} as Natives, null);
  new scope.WebTransport(onLink(`${ADDRESS}?cf_protocol=protobuf`, link));
  expect(calls[0]?.url).toBe(`${ADDRESS}?cf_protocol=protobuf`);
  link.cut();
  expect(close).toHaveBeenCalledOnce();
});

test('a browser without WebTransport is left as it is', () => {
  const scope = {};
  installWebTransport(null, scope);
  expect(scope).toEqual({});
});
