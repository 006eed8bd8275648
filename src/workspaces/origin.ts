import type { OriginKind } from '../db/generated/prisma/enums.ts';
import { parseUrl } from '../lib/parse-url.ts';
import type { CallerApp } from './caller.ts';

/** An origin of an app, with what it is for. */
export interface AppOrigin {
  kind: OriginKind;
  origin: string;
}

/** Whether a host is the machine itself, as browsers see it. */
export function isLocalhost(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '127.0.0.1' || hostname === '[::1]'
  );
}

/** Reads an origin as an admin enters it: https, or http on localhost; no path, no wildcard. Answers a sentence where it is none. */
export function readOrigin(text: string): { origin: string } | { fault: string } {
  const value = text.trim();
  if (value.includes('*')) return { fault: 'An origin has no wildcard: enter each one.' };
  const url = /^https?:\/\/[^/?#\\@\s]+\/?$/i.test(value) && value.length <= 255 ? parseUrl(value) : null;
  if (!url) {
    return {
      fault: 'An origin is a scheme, a host and perhaps a port, such as https://app.example.com, without a path.',
    };
  }
  // the parser also reads `%2a` and full-width characters
  if (url.hostname.includes('*')) return { fault: 'An origin has no wildcard: enter each one.' };
  if (url.protocol === 'http:' && !isLocalhost(url.hostname)) {
    return { fault: 'An origin is https; http is for localhost only.' };
  }
  return { origin: url.origin };
}

/** The app's own origins in order, then the service's own. */
export function originsOf(app: Pick<CallerApp, 'origins'>, publicUrl: string): AppOrigin[] {
  const kinds = ['LIVE', 'CUSTOM', 'PREVIEW'];
  const own = [...app.origins].sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
  return [...own, { kind: 'SERVICE', origin: publicUrl }];
}

/** Whether a page of this origin may call for the app. */
export function mayCallFrom(app: Pick<CallerApp, 'origins'>, publicUrl: string, origin: string): boolean {
  return originsOf(app, publicUrl).some((own) => own.origin === origin);
}

/** The origin the callback comes back to: where the user started when that is one of the app's, else LIVE, else the service's own. */
export function callbackOrigin(app: Pick<CallerApp, 'origins'>, publicUrl: string, started: string | null): string {
  const origins = originsOf(app, publicUrl);
  const match = origins.find((own) => own.origin === started) ?? origins.find((own) => own.kind === 'LIVE');
  return match?.origin ?? publicUrl;
}

/**
 * Where to send the browser after the callback: an absolute URL inside the app's own origins. `returnTo` is such a URL, or a
 * path of `base`. Null where it is anything else; every doubtful form counts as that.
 */
export function resolveReturnTo(app: Pick<CallerApp, 'origins'>, base: string | null, returnTo: string): string | null {
  if (returnTo.length > 2048 || !/^[\x21-\x5b\x5d-\x7e]+$/.test(returnTo)) return null; // no space, control, backslash, non-ASCII
  const absolute = /^https?:\/\/[^/]/i.test(returnTo);
  if (!absolute && (base === null || !/^\/(?!\/)/.test(returnTo))) return null;
  const url = parseUrl(returnTo, base ?? undefined);
  if (!url || url.username || url.password) return null;
  return app.origins.some((own) => own.origin === url.origin) ? url.href : null;
}
