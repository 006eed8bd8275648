import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'shopify',
  name: 'Shopify',
  description: 'Works with the products, orders and customers of a Shopify shop.',
  scopes: [
    { scope: 'read_products', description: 'Read products.' },
    { scope: 'write_products', description: 'Create and change products.' },
    { scope: 'read_orders', description: 'Read orders of the last 60 days.' },
    { scope: 'write_orders', description: 'Create and change orders.' },
    { scope: 'read_customers', description: 'Read customers.' },
    { scope: 'read_inventory', description: 'Read stock.' },
  ],
  exampleUses: [
    "Show the day's orders.",
    'Keep stock in step with a warehouse.',
    'Write product texts with an assistant.',
  ],
  setupSteps: [
    'Open the Shopify developer dashboard and create an app.',
    'Paste the redirect URIs of your apps as allowed redirection URLs.',
    'Copy the client ID and the client secret into this connector.',
    'In this connector enter the name of the shop: the part of its address before .myshopify.com.',
  ],
  docsUrl: 'https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant',
  configFields: [
    {
      name: 'shop',
      description: 'The part of the address before .myshopify.com.',
      required: true,
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      errorText: 'Enter only the part before .myshopify.com, in small letters, digits and hyphens.',
    },
  ],
  server: oauthServer({
    authorizationUrl: 'https://{shop}.myshopify.com/admin/oauth/authorize',
    tokenUrl: 'https://{shop}.myshopify.com/admin/oauth/access_token',
    scopeSeparator: ',',
    tokenParams: { expiring: '1' },
    keepFromCallback: ['shop'],
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Endpoints and expiring=1 in the token request: Nango and shopify.dev. With it an access token lives an hour, and the refresh token is replaced at each use.',
    'A grant is of the shop, and API calls carry its token in X-Shopify-Access-Token (shopify.dev). Write scopes include the read scopes, which are then not named.',
    'The hmac of the callback is not checked: the flow is bound by state, PKCE and the shop of the connector. PKCE is sent, as by Nango.',
    'The shop is a setting of the connector: a connector is for one shop.',
    'Uncertain: commas between scopes, and a token answer without token_type, are from memory; both are read in any form.',
    'No endpoint tells an account without naming a version of the API, so none is asked. Revoked is by removing the app from the shop.',
  ],
};
