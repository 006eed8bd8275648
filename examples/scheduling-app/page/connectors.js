/** One card per connector: what it shows, and nothing about how it is fetched. */

const STATUS = {
  NOT_CONNECTED: { label: 'Not connected', tone: 'idle', sentence: 'Connect to see here what is coming up.' },
  CONNECTED: { label: 'Connected', tone: 'good', sentence: 'Read with your permission, and shown to nobody else.' },
  RECONNECT_REQUIRED: { label: 'Reconnect needed', tone: 'warn', sentence: 'Reconnect to go on.' },
  UNAVAILABLE: { label: 'Unavailable', tone: 'bad', sentence: 'This cannot be used at the moment.' },
};

const RECONNECT_REASONS = {
  SCOPES_CHANGED: 'This app now asks for other permissions. Reconnect to look at them and approve.',
  CREDENTIALS_CHANGED: 'The app has registered anew with the provider. Reconnect once to go on.',
  ACCESS_REVOKED: 'The provider has withdrawn this app’s access. Reconnect to allow it again.',
  GRANT_EXPIRED: 'Your permission has run out. Reconnect to renew it.',
};

function element(tag, { testId, ...properties } = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  if (testId) node.dataset.testid = testId;
  node.append(...children);
  return node;
}

function fill(node, ...children) {
  node.replaceChildren(...children);
  node.hidden = children.length === 0;
}

function actionButton(label, name, className, testId, onClick) {
  const button = element('button', { type: 'button', className, testId }, label);
  button.append(element('span', { className: 'unseen' }, ` ${name}`));
  button.addEventListener('click', onClick);
  return button;
}

/** @param {{ message: string, steps: string[] }} failure */
function failureBox({ message, steps }) {
  const list = element('ol', { testId: 'error-steps' }, ...steps.map((step) => element('li', {}, step)));
  return [element('p', { testId: 'error-message' }, message), ...(steps.length > 0 ? [list] : [])];
}

/** @param {string[]} scopes */
function scopeList(scopes, className) {
  return scopes.map((scope) => element('code', { className: `scope ${className}` }, scope));
}

const dayFormat = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short' });
const timeFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

function eventItem({ title, startsAt, endsAt, place }) {
  const start = new Date(startsAt);
  const times = endsAt
    ? `${timeFormat.format(start)} – ${timeFormat.format(new Date(endsAt))}`
    : `by ${timeFormat.format(start)}`;
  return element(
    'li',
    { className: 'event', testId: 'event-item' },
    element('time', { dateTime: startsAt }, element('b', {}, dayFormat.format(start)), times),
    element('span', {}, element('b', {}, title), place),
  );
}

/**
 * @param {{ id: string, name: string, provider: { key: string, name: string } }} connector
 * @param {{ connect: () => void, disconnect: () => void, readEvents: () => void }} actions
 */
export function createCard(connector, actions) {
  const { name } = connector;
  const headingId = `connector-${connector.id}`;
  const status = element('span', { className: 'status', testId: 'connector-status', role: 'status' });
  const sentence = element('p', { className: 'sentence', testId: 'status-sentence' });
  const account = element('dd', { testId: 'account' });
  const granted = element('dd', { className: 'scopes', testId: 'granted-scopes' });
  const missing = element('dd', { className: 'scopes', testId: 'missing-scopes' });
  const facts = [account, granted, missing].map((value, index) => {
    const label = ['Account', 'Allowed', 'Not allowed'][index];
    return element('div', {}, element('dt', {}, label), value);
  });

  const connect = actionButton('Connect', name, 'primary', 'connect-button', actions.connect);
  const reconnect = actionButton('Reconnect', name, 'primary', 'reconnect-button', actions.connect);
  const read = actionButton('Read again', `from ${name}`, '', 'read-events-button', actions.readEvents);
  const disconnect = actionButton('Disconnect', name, 'quiet', 'disconnect-button', actions.disconnect);
  const buttons = [connect, reconnect, read, disconnect];
  const failure = element('div', { className: 'failure', testId: 'failure', hidden: true });
  failure.setAttribute('role', 'alert');

  const events = element('ul', { className: 'events', testId: 'events-list' });
  events.setAttribute('aria-label', `Coming up in ${name}`);
  const fingerprint = element('code', { testId: 'token-fingerprint' });
  const expiresIn = element('span', { testId: 'token-expires-in' });
  const refreshes = element('span', { testId: 'token-refreshes' });
  const meter = element('span', { className: 'meter' }, element('span', {}));
  meter.setAttribute('aria-hidden', 'true');
  const token = element(
    'footer',
    { className: 'token', testId: 'token' },
    meter,
    element('span', {}, 'Token fingerprint ', fingerprint),
    expiresIn,
    refreshes,
  );
  const reading = element('div', { className: 'reading', hidden: true }, events, token);

  const node = element(
    'article',
    { className: 'card', testId: 'connector-card' },
    element(
      'div',
      { className: 'card-head' },
      element(
        'div',
        {},
        element('h2', { id: headingId, testId: 'connector-name' }, name),
        // The name of a custom provider tells a user nothing that the connector's own name does not.
        ...(connector.provider.key === 'custom'
          ? []
          : [element('p', { className: 'provider' }, connector.provider.name)]),
      ),
      status,
    ),
    sentence,
    element('dl', {}, ...facts),
    failure,
    element('div', { className: 'actions' }, ...buttons),
    reading,
  );
  node.setAttribute('aria-labelledby', headingId);
  node.dataset.connectorId = connector.id;

  let last = null;
  let tokensSeen = 0;
  let lifetimeMs = 0;
  let focused = null;

  return {
    node,

    /** @param {object} state what the subscription told last */
    showStatus(state) {
      const known = STATUS[state.status] ?? STATUS.UNAVAILABLE;
      const missingScopes = state.missingScopes ?? [];
      const isConnected = state.status === 'CONNECTED';
      const isPartial = isConnected && missingScopes.length > 0;
      const isNews = node.dataset.status !== state.status;
      node.dataset.status = state.status;
      node.dataset.reason = state.reconnectReason ?? '';
      if (status.textContent !== known.label) status.textContent = known.label;
      status.dataset.tone = isPartial ? 'warn' : known.tone;
      sentence.textContent = isPartial
        ? 'Connected, with less than this app asked for.'
        : (RECONNECT_REASONS[state.reconnectReason] ?? state.problem?.message ?? known.sentence);

      const { email, name: accountName, id: accountId } = state.connection?.account ?? {};
      const who = [accountName, email].filter(Boolean).join(', ') || accountId;
      const isKnown = state.status !== 'NOT_CONNECTED';
      account.textContent = who ?? '';
      fill(granted, ...(isKnown ? scopeList(state.connection?.grantedScopes ?? [], '') : []));
      fill(missing, ...(isKnown ? scopeList(missingScopes, 'missing') : []));
      facts[0].hidden = !isKnown || !who;
      facts[1].hidden = granted.hidden;
      facts[2].hidden = missing.hidden;

      connect.hidden = state.status !== 'NOT_CONNECTED';
      reconnect.hidden = !(state.status === 'RECONNECT_REQUIRED' || isPartial);
      read.hidden = !isConnected;
      disconnect.hidden = !(isConnected || state.status === 'RECONNECT_REQUIRED');
      if (!isConnected) {
        reading.hidden = true;
        last = null;
        tokensSeen = 0;
      }
      const steps = state.problem?.remedy?.steps ?? [];
      if (state.status === 'UNAVAILABLE' && steps.length > 0) {
        failure.dataset.kind = 'error';
        fill(failure, ...failureBox({ message: 'What has to be done', steps }));
      } else if (isNews) {
        fill(failure);
      }
    },

    /** @param {{ message: string, steps: string[], kind?: 'info' } | null} reason */
    showFailure(reason) {
      failure.dataset.kind = reason?.kind ?? 'error';
      fill(failure, ...(reason ? failureBox(reason) : []));
    },

    /** @param {{ events: object[] | null, token: { fingerprint: string, expiresAt: string | null, expiresInSeconds: number | null } }} answer */
    showEvents(answer) {
      const isNew = answer.token.fingerprint !== last?.fingerprint;
      if (isNew) {
        tokensSeen += 1;
        lifetimeMs = (answer.token.expiresInSeconds ?? 0) * 1000;
        fingerprint.textContent = answer.token.fingerprint;
        if (tokensSeen > 1) {
          token.classList.remove('renewed');
          void token.offsetWidth;
          token.classList.add('renewed');
        }
      }
      // The moment is told by this browser's clock, so that a clock that is off does not make it look expired.
      const { expiresInSeconds } = answer.token;
      const endsAtMs = expiresInSeconds === null ? null : Date.now() + expiresInSeconds * 1000;
      last = { fingerprint: answer.token.fingerprint, endsAtMs };
      refreshes.textContent = tokensSeen < 2 ? '' : `refreshed ${tokensSeen - 1}× since you came`;
      token.dataset.refreshes = String(tokensSeen - 1);
      const none = answer.events
        ? 'Nothing in the next days.'
        : 'Connected. What to read here is not written into this app yet: that goes into “sources” in demo.ts.';
      if (answer.events?.length) events.replaceChildren(...answer.events.map(eventItem));
      else events.replaceChildren(element('li', { className: 'hint' }, none));
      reading.hidden = false;
      this.tick();
    },

    tick() {
      if (!last) return;
      const leftMs = last.endsAtMs === null ? null : Math.max(0, last.endsAtMs - Date.now());
      expiresIn.textContent = leftMs === null ? 'does not expire' : `valid for ${Math.ceil(leftMs / 1000)} s`;
      const share = leftMs === null || lifetimeMs === 0 ? 1 : Math.min(1, leftMs / lifetimeMs);
      meter.firstElementChild.style.transform = `scaleX(${share})`;
    },

    setBusy(isBusy) {
      if (isBusy) focused = buttons.find((button) => button === document.activeElement) ?? null;
      node.setAttribute('aria-busy', String(isBusy));
      for (const button of buttons) button.disabled = isBusy;
      // A button that was disabled or has gone loses the focus; whoever uses the keyboard would begin at the top again.
      if (!isBusy && focused) (focused.hidden ? buttons.find((button) => !button.hidden) : focused)?.focus();
    },
  };
}
