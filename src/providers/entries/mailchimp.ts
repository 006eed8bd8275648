import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'mailchimp',
  name: 'Mailchimp',
  description: 'Manages the audiences and campaigns of a Mailchimp account.',
  scopes: [],
  exampleUses: [
    'Add whoever signs up to an audience.',
    'Show how the last campaign did.',
    'Start a campaign from a text written elsewhere.',
  ],
  setupSteps: [
    'In Mailchimp open your profile, "Extras", "Registered apps", and register an app.',
    'Paste the redirect URI of your app. Mailchimp takes one per app: register an app per origin.',
    'Mailchimp has no scopes: leave those of this connector empty.',
    'Copy the client ID and the client secret into this connector.',
    'API calls go to a host that begins with the data centre: ask login.mailchimp.com/oauth2/metadata for it, with the token.',
  ],
  docsUrl: 'https://mailchimp.com/developer/marketing/guides/access-user-data-oauth-2/',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://login.mailchimp.com/oauth2/authorize',
    tokenUrl: 'https://login.mailchimp.com/oauth2/token',
    identity: {
      url: 'https://login.mailchimp.com/oauth2/metadata',
      method: 'GET',
      idPaths: ['user_id'],
      emailPaths: ['login.email'],
      namePaths: ['accountname', 'login.login_name'],
    },
    refreshes: false,
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints: Nango; the metadata endpoint: Auth.js and the documentation of Mailchimp. PKCE is sent, as by Nango.',
    'Access tokens do not end, and the answer says so with expires_in 0 (documentation; the 0 from memory).',
    'The metadata endpoint is asked with the word Bearer, as several open-source connectors do; Auth.js and others send OAuth. Where it is not taken, nobody is named.',
    'It answers 200 with the error invalid_token for a token that is no longer good (the source of the Mailchimp connector of Airbyte): that counts as a refusal.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
