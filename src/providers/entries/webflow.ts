import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'webflow',
  name: 'Webflow',
  description: 'Works with the content, pages and forms of the sites that the person chooses.',
  scopes: [
    { scope: 'authorized_user:read', description: "Read the person's name and e-mail address." },
    { scope: 'sites:read', description: 'See sites.' },
    { scope: 'sites:write', description: 'Change and publish sites.' },
    { scope: 'cms:read', description: 'Read collections and their items.' },
    { scope: 'cms:write', description: 'Create and change collections and items.' },
    { scope: 'pages:read', description: 'Read pages.' },
    { scope: 'forms:read', description: 'Read what people entered into forms.' },
  ],
  exampleUses: [
    'Publish an article that was written elsewhere.',
    'Bring form entries into a CRM.',
    'Keep a list of products up to date.',
  ],
  setupSteps: [
    'In Webflow open the settings of your workspace, "Apps & Integrations", and create an app with the Data client.',
    'Paste the redirect URI of your app.',
    'Choose the scopes that this connector asks for.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://developers.webflow.com/data/reference/oauth-app',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://webflow.com/oauth/authorize',
    tokenUrl: 'https://api.webflow.com/oauth/access_token',
    revocation: { url: 'https://webflow.com/oauth/revoke_authorization', style: 'rfc7009', token: 'access' },
    identity: {
      url: 'https://api.webflow.com/v2/token/authorized_by',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['firstName', 'email'],
      anyScope: ['authorized_user:read'],
    },
    parameterNames: { token: 'access_token' },
    refreshes: false,
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints: Nango; revocation with client id, secret and access_token: developers.webflow.com; identity: open-source connectors. PKCE is sent, as by Nango.',
    'There are no refresh tokens (Nango).',
    'Uncertain: how long a token lives; it is taken not to end. The names of the scopes are from memory.',
    'Uncertain: revocation is shown with a JSON body; here it goes as a form, as at least one open-source connector sends it.',
    'Uncertain: whether a revocation reaches all tokens of the account is taken as true, the safe choice.',
  ],
};
