import { createClient, isConnectorError } from './app-user-connectors.js';
import { createCard } from './connectors.js';
import { openTeamChannel } from './team-channel.js';

const READ_EVERY_MS = 5_000;

const COMPLETE_SHARED = /* GraphQL */ `
  mutation CompleteShared($input: CompleteConnectionInput!) {
    completeConnection(input: $input) {
      __typename
      ... on CompleteConnectionPayload { connection { id } }
      ... on UserError { code message remedy { steps } }
    }
  }
`;

const LIVE_LABELS = { connecting: 'Connecting', live: 'Live', waiting: 'Offline, trying again' };

const byId = (id) => document.getElementById(id);
const cards = new Map();
let session = null;
let connectors = null;

function notify(kind, message, steps = []) {
  const notice = byId('notice');
  notice.dataset.kind = kind;
  notice.replaceChildren(message);
  if (steps.length > 0) {
    const list = document.createElement('ol');
    for (const step of steps) list.append(Object.assign(document.createElement('li'), { textContent: step }));
    notice.append(list);
  }
  notice.hidden = false;
}

async function loadSession() {
  const response = await fetch('/session');
  if (!response.ok) throw new Error('The app does not answer. Reload the page in a moment.');
  const answer = await response.json();
  session = answer.person ? { ...answer, renewAtMs: Date.now() + answer.expiresInSeconds * 800 } : null;
  return answer;
}

/** The identity token, renewed in time: four fifths of its life. Null once nobody is signed in. */
async function getToken({ rejectedToken } = {}) {
  if (!session || Date.now() > session.renewAtMs || session.identityToken === rejectedToken) await loadSession();
  if (!session) location.reload();
  return session?.identityToken ?? null;
}

/** A team lead's own way in: as a member of the workspace, not as a user of the app. */
async function memberToken() {
  await getToken();
  return session.team.memberToken;
}

async function graphqlAsMember(query, variables) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await memberToken()}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (!data) throw new Error(errors?.[0]?.message ?? 'The service did not answer.');
  return data;
}

/** Begins something that nobody waits for; what goes wrong is told on the page. */
function start(promise) {
  promise.catch((error) => notify('error', error.message));
}

/** An error as the person should read it, with what to do. */
function describe(error) {
  const steps = isConnectorError(error) ? (error.remedy?.steps ?? []) : [];
  // nothing went wrong: the person decided so
  const isChoice = error.code === 'CONSENT_DENIED' || error.code === 'POPUP_CLOSED';
  return { message: error.message, steps, kind: isChoice ? 'info' : 'error' };
}

/** Runs one action of a card, and shows in the card what went wrong. */
async function act(entry, action) {
  entry.card.setBusy(true);
  entry.card.showFailure(null);
  try {
    await action();
  } catch (error) {
    entry.card.showFailure(describe(error));
  } finally {
    entry.card.setBusy(false);
  }
}

function sayConnected({ name }) {
  notify('success', `${name} is connected.`);
}

function connect(entry) {
  const { value: mode } = document.querySelector('input[name=mode]:checked');
  return act(entry, async () => {
    await connectors.connectAppUser(entry.connector.id, { returnTo: location.pathname, mode });
    if (mode === 'popup') sayConnected(entry.connector);
  });
}

function disconnect(entry) {
  return act(entry, async () => {
    const connection = await connectors.disconnectAppUser(entry.connector.id);
    showStatus(entry, { ...connection, connection });
  });
}

/** Asks the app's own backend function, which is the only one that ever holds the provider's token. */
async function readEvents(entry, isAsked) {
  if (entry.isReading) return;
  entry.isReading = true;
  try {
    const response = await fetch('/functions/upcoming-events', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await getToken()}` },
      body: JSON.stringify({ connectorId: entry.connector.id }),
    });
    const answer = await response.json();
    if (entry.status !== 'CONNECTED') return;
    if (response.ok) {
      entry.card.showFailure(null);
      entry.card.showEvents(answer);
    } else if (answer.error.code !== 'RECONNECT_REQUIRED' && answer.error.code !== 'NOT_CONNECTED') {
      // Those two are told by the subscription, in a better place.
      entry.card.showFailure(answer.error);
    }
  } catch {
    if (isAsked) entry.card.showFailure({ message: 'The app does not answer. Try again in a moment.', steps: [] });
  } finally {
    entry.isReading = false;
  }
}

function showStatus(entry, state) {
  const wasConnected = entry.status === 'CONNECTED';
  // "Is connected" is news of the past as soon as it no longer holds.
  if (wasConnected && state.status !== 'CONNECTED' && byId('notice').dataset.kind === 'success') {
    byId('notice').hidden = true;
  }
  entry.status = state.status;
  entry.card.showStatus(state);
  if (state.status === 'CONNECTED' && !wasConnected) start(readEvents(entry, false));
}

function addCard(connector) {
  const entry = { connector, status: null, isReading: false };
  entry.card = createCard(connector, {
    connect: () => start(connect(entry)),
    disconnect: () => start(disconnect(entry)),
    readEvents: () => start(act(entry, () => readEvents(entry, true))),
  });
  byId('cards').append(entry.card.node);
  cards.set(connector.id, entry);

  const connection = connector.currentUserConnection;
  showStatus(entry, { ...(connection ?? { status: 'NOT_CONNECTED' }), connection });
  connectors.status(connector.id, {
    next: (event) => showStatus(entry, event),
    error: (error) => entry.card.showFailure(describe(error)),
  });
}

/** A card for each connector that has none yet: an admin may add one while the page is open. */
async function loadConnectors() {
  for (const connector of await connectors.list()) if (!cards.has(connector.id)) addCard(connector);
  byId('no-connectors').hidden = cards.size > 0;
}

/**
 * The browser may be on its way back from the provider: finishes that, and answers the connector that it was about, and how it
 * failed, if it did. The client does it for a user's own account; the team's is completed by the lead who began, as a member of
 * the workspace.
 */
async function finishReturn() {
  const { searchParams } = new URL(location.href);
  const [connectorId, connectCode] = ['connector_id', 'connect_code'].map((name) => searchParams.get(name));
  if (connectorId !== null && connectorId === session.team?.connectorId && !searchParams.has('connection_error')) {
    history.replaceState(null, '', location.pathname);
    if (connectCode === null) return { connectorId };
    const { completeConnection: result } = await graphqlAsMember(COMPLETE_SHARED, { input: { connectCode } });
    if (result.__typename === 'CompleteConnectionPayload') return { connectorId };
    return { connectorId, failure: { message: result.message, steps: result.remedy?.steps ?? [], kind: 'error' } };
  }
  try {
    return { connectorId: (await connectors.completeConnection())?.connectorId ?? null };
  } catch (error) {
    return { connectorId: error.connectorId ?? null, failure: describe(error) };
  }
}

/** Tells how a flow ended: in the card that it was about, where there is one. */
function tellReturn({ connectorId, failure }) {
  const entry = cards.get(connectorId);
  if (failure && entry) entry.card.showFailure(failure);
  else if (failure) notify(failure.kind, failure.message, failure.steps);
  else if (entry?.status === 'CONNECTED') sayConnected(entry.connector);
  else if (connectorId !== null && connectorId === session.team?.connectorId) {
    notify('success', 'The team’s account is connected.');
  }
}

async function changeSession(method, body) {
  const headers = { 'content-type': 'application/json' };
  await fetch('/session', { method, headers, body: JSON.stringify(body) });
  location.reload();
}

function showSignedOut(people) {
  byId('signed-out').hidden = false;
  for (const { id, name } of people) {
    const button = Object.assign(document.createElement('button'), {
      type: 'button',
      textContent: `Continue as ${name}`,
    });
    button.dataset.testid = `sign-in-${id}`;
    button.addEventListener('click', () => start(changeSession('POST', { personId: id })));
    byId('people').append(button);
  }
}

async function showSignedIn() {
  byId('signed-in').hidden = false;
  byId('who').hidden = false;
  byId('signed-in-as').textContent = session.person.name;
  byId('sign-out').addEventListener('click', () => start(changeSession('DELETE', {})));

  const client = createClient({
    url: location.origin,
    appId: session.appId,
    getToken,
    completeOnReturn: false, // finishReturn says who completes it
    onStreamState(state) {
      const live = byId('live');
      live.dataset.state = state;
      live.textContent = LIVE_LABELS[state];
    },
  });
  connectors = client.connectors;

  const ended = await finishReturn().catch((error) => ({ connectorId: null, failure: describe(error) }));
  await loadConnectors();
  if (session.team) {
    const { team, appId, person } = session;
    openTeamChannel({ team, appId, person, memberToken, graphql: graphqlAsMember });
  }
  tellReturn(ended);

  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') loadConnectors().catch(() => {});
  });
  setInterval(() => {
    for (const entry of cards.values()) entry.card.tick();
  }, 1_000);
  setInterval(() => {
    if (document.visibilityState !== 'visible') return;
    for (const entry of cards.values()) if (entry.status === 'CONNECTED') start(readEvents(entry, false));
  }, READ_EVERY_MS);
}

try {
  const { people } = await loadSession();
  if (session) await showSignedIn();
  else showSignedOut(people);
} catch (error) {
  notify('error', error.message);
}
