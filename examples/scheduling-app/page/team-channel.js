import { openSubscriptions } from './subscriptions.js';

/** The account that the whole team shares, for the leads who look after it. They call as members of the workspace. */

const FIELDS = /* GraphQL */ `
  fragment SharedFields on AppUserConnection {
    status
    reconnectReason
    problem { message }
    ownedBy
    account { id email }
    grantedScopes
    missingScopes
  }
`;

const STATUS = /* GraphQL */ `
  subscription TeamChannel($connectorId: ID!, $appId: ID!) {
    connectionStatus(connectorId: $connectorId, appId: $appId) { connection { ...SharedFields } }
  }
  ${FIELDS}
`;

const CONNECT = /* GraphQL */ `
  mutation ConnectShared($input: ConnectSharedAccountInput!) {
    connectSharedAccount(input: $input) {
      __typename
      ... on ConnectSharedAccountPayload { alreadyAuthorized redirectUrl }
      ... on AccountOwnedError { owner }
      ... on UserError { code message remedy { steps } }
    }
  }
`;

const DISCONNECT = /* GraphQL */ `
  mutation DisconnectShared($input: DisconnectSharedAccountInput!) {
    disconnectSharedAccount(input: $input) {
      __typename
      ... on UserError { message }
    }
  }
`;

const LABELS = {
  NOT_CONNECTED: 'Not connected',
  CONNECTED: 'Connected',
  RECONNECT_REQUIRED: 'Reconnect needed',
  UNAVAILABLE: 'Unavailable',
};
const TONES = { NOT_CONNECTED: 'idle', CONNECTED: 'good', RECONNECT_REQUIRED: 'warn', UNAVAILABLE: 'bad' };

/**
 * @param {object} options
 * @param {{ connectorId: string }} options.team
 * @param {string} options.appId
 * @param {{ id: string }} options.person who is signed in
 * @param {() => Promise<string>} options.memberToken
 * @param {(query: string, variables: object) => Promise<object>} options.graphql calls as the member
 */
export function openTeamChannel({ team, appId, person, memberToken, graphql }) {
  const { connectorId } = team;
  const part = (name) => document.querySelector(`[data-testid="team-${name}"]`);
  const [connect, reconnect, another, takeOver, disconnect] = [
    'connect',
    'reconnect',
    'switch',
    'take-over',
    'disconnect',
  ].map(part);
  const say = (text) => {
    part('failure').textContent = text;
    part('failure').hidden = text === '';
  };

  async function run(action) {
    say('');
    takeOver.hidden = true;
    try {
      await action();
    } catch (error) {
      say(error.message);
    }
  }

  const begin = (asked) =>
    run(async () => {
      const input = { connectorId, appId, returnTo: location.pathname, ...asked };
      const { connectSharedAccount: result } = await graphql(CONNECT, { input });
      if (result.redirectUrl) return location.assign(result.redirectUrl);
      if (result.alreadyAuthorized) return say('You have connected it already, with everything it needs.');
      takeOver.hidden = result.__typename !== 'AccountOwnedError';
      return say(result.owner ? `${result.owner} has connected this account. Take it over?` : result.message);
    });

  const end = () =>
    run(async () => {
      const { disconnectSharedAccount: result } = await graphql(DISCONNECT, { input: { connectorId, appId } });
      if (result.message) say(result.message);
    });

  // `run` says on the page what goes wrong
  const onClick = (button, action) => button.addEventListener('click', () => void action());
  onClick(connect, () => begin({}));
  onClick(reconnect, () => begin({}));
  onClick(another, () => begin({ switchAccount: true }));
  onClick(takeOver, () => begin({ switchAccount: true, takeOver: true }));
  onClick(disconnect, end);

  /** Through the app's backend, which reads the shared token with the app's key alone. */
  async function showEvents() {
    const response = await fetch('/functions/team-events', { method: 'POST' });
    const { events = [] } = await response.json();
    const items = events.map(({ title }) => Object.assign(document.createElement('li'), { textContent: title }));
    part('events').replaceChildren(...items);
  }

  function show(connection) {
    const state = connection ?? { status: 'UNAVAILABLE', missingScopes: [], grantedScopes: [] };
    const isConnected = state.status === 'CONNECTED';
    const isMissing = isConnected && state.missingScopes.length > 0;
    part('status').textContent = LABELS[state.status];
    part('status').dataset.tone = TONES[state.status];
    part('account').textContent = state.account?.email ?? state.account?.id ?? 'nobody’s';
    part('owner').textContent = state.ownedBy === person.id ? 'you' : (state.ownedBy ?? 'nobody');
    part('scopes').textContent = state.grantedScopes.join(' ');
    part('missing').textContent = state.missingScopes.join(' ');
    part('missing').parentElement.hidden = state.missingScopes.length === 0;
    connect.hidden = state.status !== 'NOT_CONNECTED';
    reconnect.hidden = !(state.status === 'RECONNECT_REQUIRED' || isMissing);
    another.hidden = !isConnected;
    disconnect.hidden = !(isConnected || state.status === 'RECONNECT_REQUIRED');
    if (state.problem) say(state.problem.message);
    if (isConnected) showEvents().catch(() => {});
    else part('events').replaceChildren();
  }

  part('section').hidden = false;
  openSubscriptions({
    url: `${location.origin.replace(/^http/, 'ws')}/graphql`,
    connectionParams: async () => ({ Authorization: `Bearer ${await memberToken()}` }),
    onState() {},
  }).subscribe({
    query: STATUS,
    variables: { connectorId, appId },
    onData: (data) => show(data.connectionStatus.connection),
    onError: ([failure]) => say(failure?.message ?? 'No live status.'),
  });
}
