import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'bamboohr',
  name: 'BambooHR',
  description: 'Reads and changes employees, time off and files of a BambooHR account.',
  scopes: [
    { scope: 'offline_access', description: 'Keeps the connection alive: without it there is no refresh token.' },
    { scope: 'openid', description: 'Basic identity of the person who connects.' },
    { scope: 'email', description: "The person's e-mail address." },
    { scope: 'employee_directory', description: 'Read the directory of employees.' },
  ],
  exampleUses: [
    'Show who is away today.',
    'Create accounts for people who join.',
    'Let people ask for time off from a chat.',
  ],
  setupSteps: [
    'Open the BambooHR developer portal and add an application.',
    'Under "App details", add the redirect URIs of your apps; they must match to the letter.',
    'Choose the scopes that this connector asks for, with offline_access under "Miscellaneous".',
    'Enter the part of your BambooHR address before .bamboohr.com as company domain in this connector.',
    'Copy the client ID and the client secret into this connector.',
  ],
  docsUrl: 'https://documentation.bamboohr.com/docs/getting-started',
  configFields: [
    {
      name: 'companyDomain',
      description: 'The part of your BambooHR address before .bamboohr.com.',
      required: true,
      pattern: '^[a-z0-9-]{1,63}$',
      errorText:
        'Enter only the part before .bamboohr.com, in small letters, digits and hyphens, such as "example" for example.bamboohr.com.',
    },
  ],
  server: oauthServer({
    // Granted, it may not be named in the answer.
    scopeAliases: { offline_access: '' },
    authorizationUrl: 'https://{companyDomain}.bamboohr.com/authorize.php?request=authorize',
    tokenUrl: 'https://{companyDomain}.bamboohr.com/token.php?request=token',
  }),
  refreshTokenIdleDays: 90,
  sources: [
    'Uncertain: whether offline_access is named among the granted scopes; it is not counted as missing where it is not.',
    "Endpoints with their request parameter: BambooHR's documentation and SDK, Nango (which sends it in the body of the token request; the documentation has it in the address).",
    'offline_access is needed for a refresh token (Nango).',
    'Every BambooHR company has endpoints of its own.',
    'Uncertain: the names of the scopes beyond offline_access, openid and email; the developer portal lists some 200.',
    'No source names an endpoint that tells a stable id of the account, so none is asked.',
    'Uncertain: how long tokens live; the answer says it.',
    'Uncertain: whether an unused refresh token lapses; it is used every 45 days, the safe choice.',
    'No source names a way to revoke tokens, so none is used: people take the access back at the provider.',
  ],
};
