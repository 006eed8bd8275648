import { type AnyConnectorError, errorOf, isConnectorError, type Remedy } from './connector-error.ts';

const names = ['connector_id', 'connection_status', 'connection_error', 'connect_code'] as const;
/** Marks the return of a popup, and names the channel on which the page that opened it listens. */
const popupParam = 'connection_popup';

/** What the address of the page says about a flow that has come back. */
export interface Return {
  /** Null where the address was written by hand. */
  connectorId: string | null;
  outcome:
    | { kind: 'code'; connectCode: string }
    | { kind: 'error'; code: string }
    | { kind: 'connected'; connectorId: string };
  /** The popup's own name; null in the window of the app. */
  popup: string | null;
}

/** Reads a return from an address; null where it is none. */
export function readReturn(href: string): Return | null {
  const { searchParams } = new URL(href);
  const connectorId = searchParams.get('connector_id');
  const popup = searchParams.get(popupParam);
  const code = searchParams.get('connection_error');
  const connectCode = searchParams.get('connect_code');
  if (code !== null) return { connectorId, popup, outcome: { kind: 'error', code: code.toUpperCase() } };
  if (connectCode !== null) return { connectorId, popup, outcome: { kind: 'code', connectCode } };
  const isConnected = searchParams.get('connection_status') === 'connected';
  return isConnected && connectorId !== null
    ? { connectorId, popup, outcome: { kind: 'connected', connectorId } }
    : null;
}

/** An address without what a flow brought back. */
export function withoutReturn(href: string): string {
  const url = new URL(href);
  for (const name of [...names, popupParam]) url.searchParams.delete(name);
  return url.href;
}

/** Where a popup comes back to: the same page, which then knows that it is one. */
export function returnOfPopup(returnTo: string, popup: string): string {
  const url = new URL(returnTo);
  url.searchParams.set(popupParam, popup);
  return url.href;
}

/** What a popup tells the page that opened it. No code and no token is in it. */
export type PopupNews =
  | { readonly connectorId: string | null; readonly error: null }
  | { readonly connectorId: string | null; readonly error: { code: string; message: string; remedy: Remedy | null } };

// A channel rather than window.opener: a provider's Cross-Origin-Opener-Policy severs the opener for good.
const channelOf = (popup: string) => new BroadcastChannel(`app-user-connectors:${popup}`);

/** In the popup: tells how it ended, and closes. */
export function tellOpener(popup: string, connectorId: string | null, error: unknown): void {
  const known = isConnectorError(error) ? error : error === null ? null : errorOf('UNEXPECTED_ANSWER');
  const news: PopupNews = {
    connectorId,
    error: known && { code: known.code, message: known.message, remedy: known.remedy },
  };
  const channel = channelOf(popup);
  channel.postMessage(news);
  channel.close();
  close();
}

/** In the page that opened the popup: waits until it tells, or is closed. Rejects with how it failed. */
export function hearPopup(popup: string, opened: Window): { ended: Promise<void>; stop: () => void } {
  const channel = channelOf(popup);
  let stop = () => {};
  const ended = new Promise<void>((resolve, reject: (error: AnyConnectorError) => void) => {
    let seenClosed = false;
    const looking = setInterval(() => {
      // one look later, since what it told last may still be on its way
      if (seenClosed) reject(errorOf('POPUP_CLOSED'));
      seenClosed = opened.closed;
    }, 500);
    channel.onmessage = ({ data }: MessageEvent<PopupNews>) => {
      if (data.error) reject(errorOf(data.error.code, { ...data.error, connectorId: data.connectorId }));
      else resolve();
    };
    // The service's own page, where a flow ends that cannot come back to the app.
    const onMessage = ({ source, data }: MessageEvent<unknown>) => {
      const { type, status } = Object(data) as { type?: unknown; status?: unknown };
      if (source !== opened || type !== 'app-user-connectors' || typeof status !== 'string') return;
      if (status === 'connected') resolve();
      else reject(errorOf(status));
    };
    addEventListener('message', onMessage);
    stop = () => {
      clearInterval(looking);
      channel.close();
      removeEventListener('message', onMessage);
    };
  });
  return { ended: ended.finally(stop), stop };
}
