import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { Person } from './app-server.ts';

/** Signs team leads in to the workspace: the service takes these tokens because ADMIN_ISSUER and ADMIN_JWKS_URL point here. */
export interface TeamLeadTokens {
  /** What the service checks signatures with. */
  jwks: { keys: JWK[] };
  sign: (person: Person, lifetimeSeconds: number) => Promise<string>;
}

export const LEAD_AUDIENCE = 'scheduling-app-leads';

/** A key of this run only; a real app would use its own sign-in service, which publishes its keys already. */
export async function createTeamLeadTokens(issuer: string): Promise<TeamLeadTokens> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const kid = 'leads';
  return {
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }] },
    sign: (person, lifetimeSeconds) =>
      new SignJWT({ name: person.name })
        .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid })
        .setIssuer(issuer)
        .setAudience(LEAD_AUDIENCE)
        .setSubject(person.id)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeSeconds)
        .sign(privateKey),
  };
}
