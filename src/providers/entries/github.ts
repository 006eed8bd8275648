import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'github',
  name: 'GitHub',
  description: 'Works with repositories, issues and pull requests as the person who connects.',
  scopes: [
    { scope: 'read:user', description: "Read the person's profile." },
    { scope: 'user:email', description: "Read the person's e-mail addresses." },
    { scope: 'public_repo', description: 'Read and write public repositories.' },
    { scope: 'repo', description: 'Read and write all repositories, private ones included.' },
    { scope: 'read:org', description: "Read the person's memberships of organisations and teams." },
    { scope: 'gist', description: 'Create and change gists.' },
  ],
  exampleUses: [
    'Open an issue in the name of whoever reports a fault.',
    "List the person's open pull requests.",
    'Commit generated files to a repository.',
  ],
  setupSteps: [
    'On GitHub open Settings, "Developer settings", "OAuth Apps", and register a new OAuth app.',
    'Paste the redirect URI as "Authorization callback URL". GitHub takes one per OAuth app: use an app of its own per origin.',
    'Generate a client secret.',
    'Copy the client ID and the secret into this connector.',
  ],
  docsUrl: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://github.com/login/oauth/authorize',
    tokenUrl: 'https://github.com/login/oauth/access_token',
    revocation: {
      url: 'https://api.github.com/applications/{client_id}/token',
      style: 'basic-json',
      token: 'access',
    },
    identity: {
      url: 'https://api.github.com/user',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['login', 'name'],
    },
    // GitHub names only the widest of the scopes that hold one another.
    scopeAliases: { public_repo: 'repo', 'read:user': 'user', 'user:email': 'user', 'read:org': 'admin:org' },
    deadGrantErrors: ['bad_verification_code', 'bad_refresh_token'],
    revocationReach: 'token',
  }),
  refreshTokenIdleDays: 180,
  sources: [
    'Endpoints and client authentication: Nango and Auth.js; PKCE with S256 since July 2025 (GitHub changelog).',
    'Errors come with status 200, and the body is form-encoded unless JSON is asked for (documentation).',
    'Access tokens of OAuth apps do not expire; those of GitHub Apps live 8 hours and are refreshed.',
    'Uncertain: that a refresh token of a GitHub App ends after six months and is replaced at each use is from memory.',
    'Of scopes that include one another only the widest is named as granted (documentation of OAuth scopes). Uncertain: whether read:org is named beside write:org, which stands between.',
    'Uncertain: the revocation request and the error word bad_refresh_token are from memory.',
  ],
};
