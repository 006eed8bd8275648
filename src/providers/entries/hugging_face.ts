import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'hugging_face',
  name: 'Hugging Face',
  description: 'Works with models, datasets and inference on Hugging Face as the person who connects.',
  scopes: [
    { scope: 'openid', description: 'Tells apps which account is connected.' },
    { scope: 'profile', description: 'Name and picture.' },
    { scope: 'email', description: "The account's e-mail address." },
    { scope: 'read-repos', description: "Read the person's own repositories." },
    { scope: 'write-repos', description: "Read and write the person's own repositories." },
    {
      scope: 'manage-repos',
      description: "Full access to the person's own repositories, with creating and deleting them.",
    },
    { scope: 'inference-api', description: 'Make inference requests on behalf of the person.' },
    { scope: 'write-discussions', description: 'Open and answer discussions and pull requests.' },
    { scope: 'read-billing', description: 'See whether a payment method is set up.' },
  ],
  exampleUses: [
    "Run a model on the person's own quota.",
    'Publish a dataset that an app has built.',
    'Fetch private models of the person.',
  ],
  setupSteps: [
    'On Hugging Face open your settings and there "Connected applications".',
    'Create an OAuth app with a client secret.',
    'Choose the scopes that this connector asks for.',
    'Paste the redirect URLs of your apps.',
    'Copy the client ID and the app secret into this connector.',
  ],
  docsUrl: 'https://huggingface.co/docs/hub/oauth',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://huggingface.co/oauth/authorize',
    tokenUrl: 'https://huggingface.co/oauth/token',
    identity: {
      url: 'https://huggingface.co/oauth/userinfo',
      method: 'GET',
      idPaths: ['sub'],
      emailPaths: ['email'],
      namePaths: ['preferred_username', 'name'],
      anyScope: ['openid', 'profile'],
    },
    clientAuthentication: 'CLIENT_SECRET_BASIC',
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Scopes and the flow: huggingface.co/docs/hub/oauth; endpoints and Basic authentication: open-source sign-in code; PKCE: client libraries send it.',
    'Uncertain: that access tokens live eight hours and a refresh token comes; both only seen in the test of one client.',
    'The id_token is not read, since no source names the address of the keys.',
    'Uncertain: how userinfo answers a token without openid and profile, so it is not asked then.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
