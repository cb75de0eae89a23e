import { createHmac } from 'node:crypto';

import { TOKEN_SECRET } from './configuration.mjs';

/** A JWT of the claims, signed with the secret of the test servers unless another is given. */
export function sign(claims, secret = TOKEN_SECRET) {
  const content = [{ alg: 'HS256', typ: 'JWT' }, claims].map(encode).join('.');
  const signature = createHmac('sha256', secret).update(content).digest('base64url');
  return `${content}.${signature}`;
}

function encode(part) {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
