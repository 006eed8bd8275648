import type { AppUserConnection, Client, ConnectionStatusEvent } from './client.ts';
import {
  type AnyConnectorError,
  type ConnectorProblem,
  isConnectorError,
  PopupClosedError,
  UnexpectedAnswerError,
} from './connector-error.ts';
import type { ConnectionStatus, ReconnectReason } from './generated/operations.ts';
import { hasConnected } from './status-stream.ts';

/** Every text of the element. `{account}` and `{scopes}` stand for what the connection says. */
export interface ConnectButtonTexts {
  connect: string;
  reconnect: string;
  disconnect: string;
  /** While the status is asked for. */
  loading: string;
  /** While the window of the provider is open, or the browser is on its way there. */
  connecting: string;
  notConnected: string;
  /** Connected, where the provider tells whose account it is. */
  connectedAs: string;
  connected: string;
  /** Connected, with less than was asked for. */
  missingScopes: string;
  unavailable: string;
  /** Nobody is signed in. */
  signedOut: string;
  /** Why to reconnect. */
  reasons: Readonly<Record<ReconnectReason, string>>;
  /** The error of a code, where the service's own sentence is not wanted. */
  errors: Readonly<Partial<Record<string, string>>>;
}

const english: ConnectButtonTexts = {
  connect: 'Connect',
  reconnect: 'Reconnect',
  disconnect: 'Disconnect',
  loading: 'Loading …',
  connecting: 'Connecting …',
  notConnected: 'Not connected',
  connectedAs: 'Connected as {account}',
  connected: 'Connected',
  missingScopes: 'Connected, but not allowed: {scopes}',
  unavailable: 'Not available',
  signedOut: 'Sign in to connect',
  reasons: {
    SCOPES_CHANGED: 'This app now asks for other permissions. Reconnect to look at them and approve.',
    CREDENTIALS_CHANGED: 'This app has registered anew with the provider. Reconnect once to go on.',
    ACCESS_REVOKED: 'The provider has withdrawn the access. Reconnect to allow it again.',
    GRANT_EXPIRED: 'The permission has run out. Reconnect to renew it.',
  },
  errors: {},
};

const css = `
:host { display: inline-block; max-width: 100%; color-scheme: light dark;
  --_ink: var(--connect-button-ink, light-dark(#1b1d24, #eceef3)); --_soft: var(--connect-button-soft, light-dark(#5b606d, #a4a9b6));
  --_accent: var(--connect-button-accent, light-dark(#3a49c4, #a3aefc)); --_on-accent: var(--connect-button-on-accent, light-dark(#fff, #14183d));
  --_ground: var(--connect-button-ground, transparent); --_line: var(--connect-button-line, light-dark(#8b8f9a, #6d7280));
  --_bad: var(--connect-button-bad, light-dark(#9c2626, #ffa8a1)); color: var(--_ink); font: inherit; }
:host([hidden]), [hidden] { display: none !important; }
[part=base] { display: flex; flex-direction: column; gap: .5rem; align-items: flex-start; background: var(--_ground); }
[part=status], [part=reason] { margin: 0; color: var(--_soft); overflow-wrap: anywhere; }
[part=error] { color: var(--_bad); } [part=error] p, [part=error] ol { margin: 0; }
[part=actions] { display: flex; flex-wrap: wrap; gap: .5rem; }
button { min-height: 2.75rem; padding: .5rem 1.1rem; border: 1px solid var(--_line); border-radius: var(--connect-button-radius, .5rem);
  background: none; color: var(--_ink); font: inherit; cursor: pointer; }
button[part~=primary] { border-color: var(--_accent); background: var(--_accent); color: var(--_on-accent); }
button[aria-disabled=true] { opacity: .65; cursor: progress; }
button:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
`;

/** What `connection-change` carries. */
export interface ConnectionChange {
  connectorId: string;
  status: ConnectionStatus;
  connection: AppUserConnection | null;
}

// the library is imported where there is no DOM as well: on a server the class exists, and is never built
const Base = (typeof HTMLElement === 'undefined' ? class {} : HTMLElement) as typeof HTMLElement;

/**
 * `<connect-button connector-id="…">`: shows the signed-in user's connection as it is and as it changes, and connects,
 * reconnects and disconnects. Set its property `client`; attributes `mode` (`popup`, the default, or `redirect`) and
 * `return-to`; property `texts` overrides any of its texts.
 *
 * Parts: base, status, reason, error, actions, connect, reconnect, disconnect (and `primary` for the one to press). Custom
 * properties: --connect-button-ink, -soft, -accent, -on-accent, -ground, -line, -bad, -radius. Dark and light follow
 * `color-scheme`.
 *
 * Events: `connection-change` (detail: ConnectionChange) and `connection-error` (detail: the error).
 */
export class ConnectButtonElement extends Base {
  static readonly observedAttributes = ['connector-id'];

  #client: Client | null = null;
  #texts: ConnectButtonTexts = english;
  #stop = () => {};
  #view: ConnectionStatusEvent | null = null;
  #isBusy = false;
  #isSignedOut = false;
  #error: AnyConnectorError | null = null;
  #parts: Parts | null = null;

  /** The client that it acts through; nothing happens before it is set. */
  get client(): Client | null {
    return this.#client;
  }

  set client(client: Client | null) {
    this.#client = client;
    this.#watch();
  }

  /** Its texts. Set some of them to override those. */
  get texts(): ConnectButtonTexts {
    return this.#texts;
  }

  set texts(texts: Partial<ConnectButtonTexts>) {
    this.#texts = { ...english, ...texts };
    this.#show();
  }

  /** The connector's id: the attribute `connector-id`. */
  get connectorId(): string {
    return this.getAttribute('connector-id') ?? '';
  }

  set connectorId(id: string) {
    this.setAttribute('connector-id', id);
  }

  connectedCallback(): void {
    // a property that was set before the element was defined hides the accessor
    for (const name of ['client', 'texts'] as const) {
      if (!Object.hasOwn(this, name)) continue;
      const own = Object.getOwnPropertyDescriptor(this, name)?.value as unknown;
      delete (this as { client?: unknown; texts?: unknown })[name];
      Object.assign(this, { [name]: own });
    }
    this.#parts ??= this.#build();
    this.#watch();
  }

  disconnectedCallback(): void {
    this.#stop();
  }

  attributeChangedCallback(): void {
    this.#watch();
  }

  #watch(): void {
    this.#stop();
    this.#stop = () => {};
    this.#view = null;
    this.#error = null;
    this.#isSignedOut = false;
    this.#show();
    const { connectorId } = this;
    const connectors = this.#client?.connectors;
    if (!connectors || !connectorId || !this.isConnected) return;
    this.#stop = connectors.status(connectorId, {
      next: (event) => {
        if (hasConnected(this.#view, event)) this.#error = null;
        this.#view = event;
        this.#show();
        const { status, connection } = event;
        this.#tell('connection-change', { connectorId, status, connection } satisfies ConnectionChange);
      },
      error: (error) => this.#fail(error),
      complete: () => {
        this.#view = null;
        this.#isSignedOut = true;
        this.#show();
      },
    });
    // the page may be the return of a flow of this connector, and that may have failed
    connectors.completeConnection().catch((error: unknown) => {
      if (isConnectorError(error) && error.connectorId === connectorId) this.#fail(error);
    });
  }

  #connect(): void {
    const returnTo = this.getAttribute('return-to');
    const options = returnTo === null ? {} : { returnTo };
    const { connectorId } = this;
    const isRedirect = this.getAttribute('mode') === 'redirect';
    void this.#act(async ({ connectors }) => {
      if (isRedirect) await connectors.connectAppUser(connectorId, { ...options, mode: 'redirect' });
      else await connectors.connectAppUser(connectorId, { ...options, mode: 'popup' });
    });
  }

  #disconnect(): void {
    void this.#act(({ connectors }) => connectors.disconnectAppUser(this.connectorId));
  }

  async #act(action: (client: Client) => Promise<unknown>): Promise<void> {
    if (this.#isBusy || !this.#client) return;
    this.#isBusy = true;
    this.#error = null;
    this.#show();
    const before = this.#view;
    try {
      await action(this.#client);
    } catch (error) {
      // a window that is cut off from this page looks closed
      if (!(error instanceof PopupClosedError && hasConnected(before, this.#view))) this.#fail(error);
    } finally {
      this.#isBusy = false;
      this.#show();
    }
  }

  #fail(error: unknown): void {
    this.#error = isConnectorError(error) ? error : new UnexpectedAnswerError({ cause: error });
    this.#show();
    this.#tell('connection-error', this.#error);
  }

  #tell(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  #build(): Parts {
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    // built rather than written into a <style>, which the page's Content-Security-Policy may forbid
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    const part = (tag: string, name: string) => {
      const node = document.createElement(tag);
      node.setAttribute('part', name);
      return node;
    };
    const button = (name: string, onClick: () => void) => {
      const node = part('button', name) as HTMLButtonElement;
      node.type = 'button';
      node.addEventListener('click', onClick);
      return node;
    };
    const parts: Parts = {
      status: part('p', 'status'),
      reason: part('p', 'reason'),
      error: part('div', 'error'),
      connect: button('connect primary', () => this.#connect()),
      reconnect: button('reconnect primary', () => this.#connect()),
      disconnect: button('disconnect', () => this.#disconnect()),
    };
    const said = document.createElement('div');
    said.setAttribute('role', 'status');
    said.setAttribute('aria-live', 'polite');
    said.append(parts.status, parts.reason);
    parts.error.setAttribute('role', 'alert');
    const actions = part('div', 'actions');
    actions.append(parts.connect, parts.reconnect, parts.disconnect);
    const base = part('div', 'base');
    base.append(said, parts.error, actions);
    root.append(base);
    return parts;
  }

  #show(): void {
    const parts = this.#parts;
    if (!parts) return;
    const texts = this.#texts;
    const view = this.#view;
    const status = view?.status ?? null;
    const missing = view?.missingScopes ?? [];
    const isPartial = status === 'CONNECTED' && missing.length > 0;

    say(parts.status, this.#isBusy ? texts.connecting : this.#statusText());
    say(
      parts.reason,
      status === 'RECONNECT_REQUIRED' && view?.reconnectReason ? texts.reasons[view.reconnectReason] : '',
    );
    const problem = this.#error ?? (status === 'UNAVAILABLE' ? view?.problem : null);
    showProblem(parts.error, problem ?? null, texts);

    const { activeElement } = this.shadowRoot as ShadowRoot;
    const buttons = [parts.connect, parts.reconnect, parts.disconnect];
    parts.connect.textContent = texts.connect;
    parts.reconnect.textContent = texts.reconnect;
    parts.disconnect.textContent = texts.disconnect;
    parts.connect.hidden = status !== 'NOT_CONNECTED';
    parts.reconnect.hidden = !(status === 'RECONNECT_REQUIRED' || isPartial);
    parts.disconnect.hidden = !(status === 'CONNECTED' || status === 'RECONNECT_REQUIRED');
    for (const node of buttons) {
      // not `disabled`, which would take the focus away from whoever uses the keyboard
      node.setAttribute('aria-disabled', String(this.#isBusy));
    }
    this.setAttribute('status', this.#isBusy ? 'connecting' : (status?.toLowerCase() ?? 'loading'));
    // the button that had the focus has gone: the one in its place has it now
    if (activeElement instanceof HTMLElement && activeElement.hidden) buttons.find(({ hidden }) => !hidden)?.focus();
  }

  #statusText(): string {
    const texts = this.#texts;
    if (this.#isSignedOut) return texts.signedOut;
    switch (this.#view?.status) {
      case undefined:
        return this.#error ? texts.unavailable : texts.loading;
      case 'NOT_CONNECTED':
        return texts.notConnected;
      case 'RECONNECT_REQUIRED':
        return accountText(this.#view, texts);
      case 'UNAVAILABLE':
        return texts.unavailable;
      case 'CONNECTED': {
        const { missingScopes } = this.#view;
        if (missingScopes.length === 0) return accountText(this.#view, texts);
        return texts.missingScopes.replace('{scopes}', () => missingScopes.join(', '));
      }
    }
  }
}

interface Parts {
  status: HTMLElement;
  reason: HTMLElement;
  error: HTMLElement;
  connect: HTMLButtonElement;
  reconnect: HTMLButtonElement;
  disconnect: HTMLButtonElement;
}

function accountText({ connection }: ConnectionStatusEvent, texts: ConnectButtonTexts): string {
  const account = connection?.account;
  const name = account?.email ?? account?.name ?? account?.id;
  return name ? texts.connectedAs.replace('{account}', () => name) : texts.connected;
}

/** Says a text, and only when it is another one: what is live would be read out again. */
function say(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === '';
}

function showProblem(
  node: HTMLElement,
  problem: AnyConnectorError | ConnectorProblem | null,
  texts: ConnectButtonTexts,
): void {
  const message = problem && (texts.errors[problem.code] ?? problem.message);
  const steps = problem?.remedy?.steps ?? [];
  const key = JSON.stringify([message, steps]);
  if (node.dataset.said === key) return;
  node.dataset.said = key;
  node.replaceChildren();
  node.hidden = !message;
  if (!message) return;
  node.append(Object.assign(document.createElement('p'), { textContent: message }));
  if (steps.length === 0) return;
  const list = document.createElement('ol');
  for (const step of steps) list.append(Object.assign(document.createElement('li'), { textContent: step }));
  node.append(list);
}

declare global {
  interface HTMLElementTagNameMap {
    'connect-button': ConnectButtonElement;
  }
}

if (typeof customElements !== 'undefined' && !customElements.get('connect-button')) {
  customElements.define('connect-button', ConnectButtonElement);
}
