import { createHash } from 'node:crypto';
import type { DomainError } from '../lib/domain-error.ts';

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --ground: #f4f4f2; --card: #fff; --ink: #1b1d24;
  --soft: #5b606d; --line: #dedfe3; }
@media (prefers-color-scheme: dark) { :root { --ground: #121317; --card: #1b1d23; --ink: #eceef3; --soft: #a4a9b6; --line: #30333c; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground); color: var(--ink); }
main { width: 100%; max-width: 32rem; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: 0; }
ol { margin: 0; padding-left: 1.25rem; }
li { margin: .25rem 0; }
code { display: block; margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem; }
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
