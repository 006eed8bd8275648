import { oauthServer, type Provider } from '../provider.ts';

export const provider: Provider = {
  key: 'spotify',
  name: 'Spotify',
  description: "Reads a person's library and playlists, and controls what they listen to.",
  scopes: [
    { scope: 'user-read-email', description: "Read the account's e-mail address." },
    { scope: 'user-read-private', description: 'Read country and kind of subscription.' },
    { scope: 'playlist-read-private', description: 'Read private playlists.' },
    { scope: 'playlist-modify-private', description: 'Create and change private playlists.' },
    { scope: 'user-library-read', description: 'Read saved songs and albums.' },
    { scope: 'user-read-recently-played', description: 'See what was played lately.' },
    { scope: 'user-modify-playback-state', description: 'Start, stop and skip.' },
  ],
  exampleUses: ['Make a playlist for an event.', 'Show what the team listens to.', 'Start music with a scene at home.'],
  setupSteps: [
    'Open developer.spotify.com/dashboard and create an app for the Web API.',
    'Paste the redirect URIs of your apps.',
    'While the app is in development mode, add every person who will connect under "User Management".',
    'Copy the client ID and the client secret from its settings into this connector.',
  ],
  docsUrl: 'https://developer.spotify.com/documentation/web-api/tutorials/code-flow',
  configFields: [],
  server: oauthServer({
    authorizationUrl: 'https://accounts.spotify.com/authorize',
    tokenUrl: 'https://accounts.spotify.com/api/token',
    identity: {
      url: 'https://api.spotify.com/v1/me',
      method: 'GET',
      idPaths: ['id'],
      emailPaths: ['email'],
      namePaths: ['display_name', 'id'],
    },
  }),
  refreshTokenIdleDays: null,
  sources: [
    'Endpoints, PKCE and client credentials in the body: Nango and arctic; identity: Auth.js.',
    'Access tokens live an hour. A refresh may answer without a refresh token: the one in use stays.',
    'No end of an unused refresh token is documented, and no way to revoke tokens: people take the access back at the provider.',
    'In development mode others than the listed people get 403 from the API, not from consent.',
  ],
};
