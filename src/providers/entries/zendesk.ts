import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'zendesk',
  name: 'Zendesk',
  description: 'Reads and answers the tickets of a Zendesk account as the person who connects.',
  scopes: [
    { scope: 'read', description: 'Read everything that the person may see.' },
    { scope: 'write', description: 'Create and change everything that the person may.' },
    { scope: 'tickets:read', description: 'Read tickets.' },
    { scope: 'tickets:write', description: 'Create and change tickets.' },
    { scope: 'users:read', description: 'Read people.' },
  ],
  exampleUses: [
    'Open a ticket from a form of your own.',
    'Draft answers for the agent to check.',
    "Show a customer's open tickets.",
  ],
  setupSteps: [
    'In the Zendesk admin centre open "Apps and integrations", "APIs", "OAuth clients", and add a client of the kind "Confidential".',
    'Paste the redirect URLs of your apps.',
    'Copy the unique identifier as client id, and the secret, which is shown once, into this connector.',
    'In this connector enter the part of your Zendesk address before .zendesk.com: a client belongs to that account.',
  ],
  docsUrl: 'https://support.zendesk.com/hc/en-us/articles/4408845965210',
  configFields: [
    {
      name: 'subdomain',
      description: 'The part of your Zendesk address before .zendesk.com.',
      required: true,
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      errorText: 'Enter only the part before .zendesk.com, in small letters, digits and hyphens.',
    },
  ],
  server: oauthServer({
    authorizationUrl: 'https://{subdomain}.zendesk.com/oauth/authorizations/new',
    tokenUrl: 'https://{subdomain}.zendesk.com/oauth/tokens',
    identity: {
      url: 'https://{subdomain}.zendesk.com/api/v2/users/me.json',
      method: 'GET',
      idPaths: ['user.id'],
      emailPaths: ['user.email'],
      namePaths: ['user.name'],
      anyScope: ['read', 'users:read'],
    },
    tokenParams: { expires_in: '1800', refresh_token_expires_in: '7776000' },
    refreshParams: { expires_in: '1800', refresh_token_expires_in: '7776000' },
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints and expires_in=1800 in the token request: Nango; the client may ask for lifetimes, refresh tokens being due for everybody since April 2026 (support.zendesk.com).',
    'A refresh deletes the former access and refresh token (support.zendesk.com). PKCE is sent, as by Nango.',
    'Uncertain: 90 days as the longest life of a refresh token, and the identity endpoint, are from memory.',
    'A token is deleted there by its own id, which the answer does not tell: nothing is revoked, and people take the access back at the provider.',
  ],
};
