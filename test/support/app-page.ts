import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { onTestFinished } from 'vitest';
import { forwardRequest, forwardUpgrade } from '../../examples/scheduling-app/forward.ts';
import { startService } from './harness.ts';
import { freePort } from './ports.ts';
import { type Stage, setStage } from './stage.ts';

const clientFolder = fileURLToPath(new URL('../../src/client', import.meta.url));

/** The entries of the package, as whoever installs it names them. */
export const entries = {
  'app-user-connectors/client': `${clientFolder}/client.ts`,
  'app-user-connectors/element': `${clientFolder}/element.ts`,
  'app-user-connectors/server': `${clientFolder}/server.ts`,
  'app-user-connectors/react': `${clientFolder}/react.ts`,
  'app-user-connectors/errors': `${clientFolder}/connector-error.ts`,
};

/** The page of an app: its module, and what stands in it. `data-…` of the document say what it needs to know. */
export interface PageContent {
  script: string;
  body: string;
}

const buttonPage: PageContent = {
  body: '<main><h1>App</h1></main>',
  script: `
  import { createClient } from './client.ts';
  import './element.ts';
  const { service, app, connector, mode } = document.documentElement.dataset;
  const client = createClient({ url: service, appId: app, getToken: async () => (await fetch('/token')).text() });
  const button = document.createElement('connect-button');
  button.setAttribute('connector-id', connector);
  button.setAttribute('mode', mode);
  button.client = client;
  document.querySelector('main').append(button);
`,
};

export interface AppPage {
  origin: string;
  /** The page's address, for a way through the service and a mode of the element. */
  address(through: 'service' | 'own origin', mode: 'popup' | 'redirect'): string;
  /** What the page needs to know, before it is opened. */
  tell(about: { serviceUrl: string; appId: string; connectorId: string; identityToken: () => Promise<string> }): void;
}

/**
 * The smallest app that uses the client library and its element, under a strict policy, on an origin that forwards to the
 * service; its page calls the service either through that or directly.
 */
async function startAppPage({ script, body }: PageContent): Promise<AppPage> {
  const { outputFiles } = await build({
    stdin: { contents: script, resolveDir: clientFolder, loader: 'tsx' },
    jsx: 'automatic',
    alias: entries,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  let told: Parameters<AppPage['tell']>[0] | null = null;
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const server = createServer((request, response) => {
    if (!told) throw new Error('The page knows nothing yet.');
    const { serviceUrl, appId, connectorId, identityToken } = told;
    const { pathname, searchParams } = new URL(request.url ?? '/', origin);
    if (pathname === '/graphql' || pathname.startsWith('/api/external-auth/')) {
      forwardRequest(new URL(serviceUrl), request, response);
    } else if (pathname === '/page.js') {
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(outputFiles[0]?.text);
    } else if (pathname === '/token') {
      void identityToken().then((token) => response.end(token));
    } else if (pathname === '/') {
      const through = searchParams.get('through') === 'service' ? serviceUrl : origin;
      const ws = through.replace('http', 'ws');
      response.writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': `default-src 'none'; script-src 'self'; connect-src 'self' ${through} ${ws}; base-uri 'none'`,
      });
      response.end(`<!doctype html>
<html lang="en" data-service="${through}" data-app="${appId}" data-connector="${connectorId}" data-mode="${searchParams.get('mode')}">
<head><title>App</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script></head>
<body>${body.replaceAll('Connector_1', connectorId)}</body></html>`);
    } else response.writeHead(404).end();
  });
  server.on('upgrade', (request, socket, head) => {
    if (told) forwardUpgrade(new URL(told.serviceUrl), request, socket, head);
  });
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return {
    origin,
    address: (through, mode) => `${origin}/?${new URLSearchParams({ through, mode }).toString()}`,
    tell: (about) => {
      told = about;
    },
  };
}

/** That app with a service that knows its origin, and `one` signed in on its page. */
export async function setAppPage(content: PageContent = buttonPage): Promise<Stage & { site: AppPage }> {
  const site = await startAppPage(content);
  const service = await startService();
  const stage = await setStage({ service, origins: [{ kind: 'LIVE', origin: site.origin }] });
  await service.app.listen();
  site.tell({
    serviceUrl: service.config.publicUrl,
    appId: stage.app.id,
    connectorId: stage.connector.id,
    identityToken: () => stage.app.identityToken('one'),
  });
  return { ...stage, site };
}
