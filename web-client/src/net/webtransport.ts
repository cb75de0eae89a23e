// The SDK takes no WebTransport options: it calls the global constructor with an address and nothing else.
// So the page puts its own constructor there, which adds the hash of the development certificate and
// leads each address to the link that it belongs to.

import type { Link } from './link';

type Constructor = typeof WebTransport;

const LINK_PARAMETER = 'link';
const links: Link[] = [];

/** Marks the address as one of this link. */
export function onLink(endpoint: string, link: Link): string {
  let number = links.indexOf(link);
  if (number < 0) number = links.push(link) - 1;
  const url = new URL(endpoint);
  url.searchParams.set(LINK_PARAMETER, String(number));
  return url.toString();
}

/** Replaces the constructor in `scope`; does nothing where the browser has none. */
export function installWebTransport(
  certificate: Uint8Array<ArrayBuffer> | null,
  scope: { WebTransport?: Constructor } = globalThis,
): void {
  const Native = scope.WebTransport;
  if (Native === undefined) return;
  const options: WebTransportOptions =
    certificate === null ? {} : { serverCertificateHashes: [{ algorithm: 'sha-256', value: certificate }] };
  const Linked = function (address: string): WebTransport {
    const url = new URL(address);
    const link = links[Number(url.searchParams.get(LINK_PARAMETER))];
    url.searchParams.delete(LINK_PARAMETER);
    const create = () => new Native(url.toString(), options);
    return link === undefined ? create() : link.open('webtransport', create, (transport) => transport.close());
  };
  scope.WebTransport = Linked as unknown as Constructor;
}
