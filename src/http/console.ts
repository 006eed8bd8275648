import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { css, editorWorkerService, graphqlWorker, js, jsonWorker } from '@graphql-yoga/render-graphiql/graphiql';
import { consoleQuestion, consoleTasks } from './console-tasks.ts';

/** Everything that the page loads, by name: our own script and style, and GraphiQL as its package brings it, ready built. */
const assets = new Map([
  ['console.js', readFileSync(new URL('./console/page.js', import.meta.url), 'utf8')],
  ['console.css', consoleCss()],
  ['tasks.json', JSON.stringify({ question: consoleQuestion, tasks: consoleTasks })],
  ['graphiql.js', js],
  ['graphiql.css', css],
  ['worker-editorWorkerService.js', editorWorkerService],
  ['worker-json.js', jsonWorker],
  ['worker-graphql.js', graphqlWorker],
]);

const types: Record<string, string> = { js: 'text/javascript', css: 'text/css', json: 'application/json' };

/** Names the assets as they are now, so that they can be kept for ever and are never mixed with those of another version. */
const version = createHash('sha256')
  .update(JSON.stringify([...assets]))
  .digest('hex')
  .slice(0, 16);

/** Styles are GraphiQL's editor's: it writes them as it goes. Nothing else is inline, and nothing comes from anywhere else. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const security = {
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** `/console`: GraphiQL for a workspace's admins, also in production. The page knows nothing: who signs in on it does. */
export async function adminConsole(request: Request, assetVersion?: string, name?: string): Promise<Response> {
  if (request.method !== 'GET') return new Response('Method Not Allowed', { status: 405, headers: { Allow: 'GET' } });
  if (name === undefined) {
    const headers = { ...security, 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' };
    return new Response(page, { headers });
  }
  const asset = assetVersion === version ? assets.get(name) : undefined;
  if (asset === undefined) return new Response('Not Found', { status: 404, headers: security });
  const headers = new Headers({
    ...security,
    'Content-Type': `${types[name.split('.')[1] ?? '']}; charset=utf-8`,
    'Cache-Control': 'public, max-age=31536000, immutable',
    Vary: 'Accept-Encoding',
  });
  if (!/\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')) return new Response(asset, { headers });
  headers.set('Content-Encoding', 'gzip');
  return new Response(await zipped(name, asset), { headers });
}

const compress = promisify(gzip);
const zips = new Map<string, Promise<Buffer<ArrayBuffer>>>();

/** The editor is several megabytes: zipped once, when it is first asked for. */
function zipped(name: string, asset: string): Promise<Buffer<ArrayBuffer>> {
  const known = zips.get(name) ?? compress(asset);
  zips.set(name, known);
  return known;
}

const page = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Console · App User Connectors</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/console/${version}/console.css">
  <script type="module" src="/console/${version}/console.js"></script>
</head>
<body>
  <main id="sign-in">
    <form method="post">
      <h1>Console</h1>
      <p id="what">Sign in with a key of your workspace, or with the token of your admin sign-in.</p>
      <label for="credential">Workspace key or admin token</label>
      <input id="credential" type="password" autocomplete="off" spellcheck="false" required aria-describedby="kept" autofocus>
      <p id="kept">It is kept in this tab only, until you sign out or close it.</p>
      <p id="fault" role="alert"></p>
      <button type="submit">Sign in</button>
    </form>
    <noscript><p>The console needs JavaScript.</p></noscript>
  </main>
  <div id="signed-in" hidden>
    <header>
      <h1>Console</h1>
      <label for="workspace">Workspace</label>
      <select id="workspace"></select>
      <span id="subject"></span>
      <button id="sign-out" type="button">Sign out</button>
    </header>
    <main id="graphiql"></main>
  </div>
</body>
</html>
`;

function consoleCss(): string {
  return `
:root { color-scheme: light dark; --ground: #f4f4f2; --card: #fff; --ink: #1b1d24; --soft: #565b68; --line: #c9cbd2; --accent: #3a49c4;
  --on-accent: #fff; --fault: #a3182b; }
@media (prefers-color-scheme: dark) { :root { --ground: #121317; --card: #1b1d23; --ink: #eceef3; --soft: #a9aebb; --line: #4a4e5a;
  --accent: #aab4ff; --on-accent: #15172b; --fault: #ff9aa5; } }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
#sign-in { min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; box-sizing: border-box; }
#sign-in form { width: 100%; max-width: 28rem; padding: 2rem; box-sizing: border-box; background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; }
#sign-in h1 { margin: 0 0 .5rem; font-size: 1.5rem; }
#sign-in p { margin: 0 0 1rem; color: var(--soft); }
#sign-in label { display: block; font-weight: 600; }
#sign-in input { width: 100%; box-sizing: border-box; margin: .25rem 0; padding: .6rem .75rem; font: inherit; color: inherit;
  background: var(--ground); border: 1px solid var(--soft); border-radius: 8px; }
#sign-in #kept { font-size: .85rem; }
#sign-in #fault { color: var(--fault); }
#sign-in #fault:empty { display: none; }
#sign-in button, #signed-in > header button { padding: .5rem 1rem; font: inherit; font-weight: 600; color: var(--on-accent);
  background: var(--accent); border: 0; border-radius: 8px; cursor: pointer; }
:is(#sign-in, #signed-in > header) :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
#signed-in { height: 100vh; display: grid; grid-template-rows: auto minmax(0, 1fr); }
#signed-in > header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem .75rem; padding: .5rem 1rem; background: var(--card);
  border-bottom: 1px solid var(--line); font-size: .9rem; }
#signed-in > header h1 { margin: 0; font-size: 1rem; }
#signed-in > header select { padding: .35rem .5rem; font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--soft);
  border-radius: 8px; }
#subject { flex: 1; color: var(--soft); overflow: hidden; text-overflow: ellipsis; }
.graphiql-tab { transform: none !important; }
@media (prefers-color-scheme: light) { #graphiql .graphiql-container { --color-info: 208, 100%, 36%; --color-warning: 36, 100%, 26%;
  --color-success: 158, 60%, 26%; --color-secondary: 242, 51%, 50%; } }
#graphiql :is(.graphiql-doc-explorer-type-name, .graphiql-doc-explorer-field-name) { text-decoration: underline; }
#graphiql :is(button, a):focus-visible { outline: 3px solid var(--accent); }
#graphiql .line-numbers { color: var(--soft) !important; }
#graphiql .graphiql-session-header-right span, #graphiql .graphiql-logo { color: var(--soft); }
`;
}
