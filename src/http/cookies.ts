import type { FlowCookie } from '../connections/connect.ts';

/** A flow's cookie as a Set-Cookie header. It lives as long as a flow; without a value it is cleared. */
export function setCookieHeader({ name, value, secure }: FlowCookie): string {
  const lifetime = value === null ? 0 : 600;
  return `${name}=${value ?? ''}; Path=/; Max-Age=${lifetime}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
}

/** Reads one cookie of a request; null where it is missing. */
export function readCookie(request: Request, name: string): string | null {
  for (const pair of request.headers.get('cookie')?.split(';') ?? []) {
    const [key, ...value] = pair.trim().split('=');
    if (key === name) return value.join('=');
  }
  return null;
}
