import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { onTestFinished } from 'vitest';

/** Claims of a token; null leaves one out. */
export interface Claims {
  sub?: string | null;
  iss?: string | null;
  aud?: string | null;
  /** Seconds from now. */
  exp?: number | null;
  nbf?: number;
}

/** Somebody who signs identity tokens and publishes the keys for it (RFC 7517). */
export interface Issuer {
  issuer: string;
  audience: string;
  jwksUrl: string;
  /** The published key, as a JWK. */
  publicJwk: Record<string, unknown>;
  /** A token with an ES256 signature; by another key (with the same `kid`) than the published one, where asked. */
  sign(claims?: Claims, by?: 'published' | 'another'): Promise<string>;
}

/** An issuer that publishes its keys on loopback; stopped when the test has finished. */
export async function startIssuer(audience = 'audience', now: () => Date = () => new Date()): Promise<Issuer> {
  const keys = { published: await generateKeyPair('ES256'), another: await generateKeyPair('ES256') };
  const publicJwk = { ...(await exportJWK(keys.published.publicKey)), kid: 'first', alg: 'ES256', use: 'sig' };
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: [publicJwk] }));
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    audience,
    jwksUrl: `${issuer}/jwks.json`,
    publicJwk,
    sign: (claims = {}, by = 'published') =>
      signJwt(keys[by].privateKey, { alg: 'ES256', kid: 'first' }, { iss: issuer, aud: audience, ...claims }, now()),
  };
}

/** A token with these claims. Subject `one` and an hour to live, unless told. */
export function signJwt(
  key: CryptoKey | Uint8Array,
  header: { alg: string; kid?: string },
  { sub = 'one', iss, aud, exp = 3600, nbf }: Claims,
  now = new Date(),
): Promise<string> {
  const seconds = Math.floor(now.getTime() / 1000);
  const claims = {
    sub,
    iss,
    aud,
    exp: exp === null ? null : seconds + exp,
    nbf: nbf === undefined ? null : seconds + nbf,
  };
  const present = Object.entries(claims).filter(([, value]) => value !== null && value !== undefined);
  return new SignJWT(Object.fromEntries(present)).setProtectedHeader(header).sign(key);
}
