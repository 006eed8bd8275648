import { createHash } from 'node:crypto';
import type { DomainError } from '../lib/domain-error.ts';

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; color: CanvasText; }
main { max-width: 34rem; padding: 2rem; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .75rem; }
li { margin: .35rem 0; }
code { font-size: .85rem; opacity: .75; }
`;
// tells nothing but how it ended: the page of the app that opened it reads the connection's state by itself
const script = `
if (window.opener) { window.opener.postMessage({ type: 'app-user-connectors', status: document.body.dataset.status }, '*'); window.close(); }
`;
const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const policy = `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;

/** The service's own page, where a flow ends that has no page of an app to go back to. It shows our own sentences only. */
export function callbackPage(error: DomainError | null, headers: Record<string, string>): Response {
  const title = error ? 'The account was not connected' : 'The account is connected';
  const steps = error?.remedy?.steps ?? [];
  const body = error
    ? `<p>${escape(error.message)}</p>
    ${steps.length > 0 ? `<h2>What to do</h2><ol>${steps.map((step) => `<li>${escape(step)}</li>`).join('')}</ol>` : ''}
    <p><code>${escape(error.code)}</code></p>`
    : '<p>You can close this window and go back to the app.</p>';
  const html = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${title}</title>
  <style>${style}</style>
</head>
<body data-status="${error ? escape(error.code) : 'connected'}">
  <main>
    <h1>${title}</h1>
    ${body}
  </main>
  <script>${script}</script>
</body>
</html>
`;
  return new Response(html, {
    status: error ? 400 : 200,
    headers: { ...headers, 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': policy },
  });
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
