/** What goes into an app for a connector. The same code as in docs/quickstart-*.md, with the ids filled in. */
export function codeFor({ id, kind }: { id: string; kind: 'APP_USER' | 'SHARED' }, serviceUrl: string) {
  return {
    connectorId: id,
    snippets:
      kind === 'SHARED'
        ? [{ where: 'backend' as const, language: 'ts', code: sharedBackend(id, serviceUrl) }]
        : [
            {
              where: 'frontend' as const,
              language: 'html',
              code: `<connect-button connector-id="${id}"></connect-button>\n`,
            },
            { where: 'frontend' as const, language: 'ts', code: frontend(serviceUrl) },
            { where: 'backend' as const, language: 'ts', code: backend(id, serviceUrl) },
          ],
    notes: [
      'The library is the package app-user-connectors; docs://pages/quickstart-frontend.md and docs://pages/quickstart-backend.md tell the rest.',
      "APP_KEY is the app's key (apk_…) and stays on the server: a person puts it into the app's environment. It does not belong in a chat.",
      ...(kind === 'SHARED'
        ? [
            'An EDITOR of the workspace or above connects the account once per app: connectSharedAccount, from a page of the app.',
          ]
        : ["Fill in the app's id (see list_apps) and how the page gets its user's identity token."]),
      'https://api.example.com stands for the API that is called.',
    ],
  };
}

const frontend = (serviceUrl: string) => `import { createClient } from 'app-user-connectors/client';
import 'app-user-connectors/element';

const client = createClient({
  url: '${serviceUrl}',
  appId: 'APP_ID',
  // the signed-in user's identity token; null where nobody is signed in
  getToken: async () => {
    const response = await fetch('/token');
    return response.ok ? response.text() : null;
  },
});

for (const button of document.querySelectorAll('connect-button')) button.client = client;
`;

const backend = (
  id: string,
  serviceUrl: string,
) => `import { createClientFromRequest, isConnectorError } from 'app-user-connectors/server';

export async function handle(request: Request): Promise<Response> {
  const { connectors } = createClientFromRequest(request, { url: '${serviceUrl}', appKey: process.env.APP_KEY! });
  try {
    const { accessToken } = await connectors.getCurrentAppUserConnection('${id}');
    return await fetch('https://api.example.com', { headers: { authorization: \`Bearer \${accessToken}\` } });
  } catch (error) {
    if (!isConnectorError(error)) throw error;
    // NOT_CONNECTED and RECONNECT_REQUIRED: show the Connect button
    const { code, message } = error;
    return Response.json({ code, message }, { status: 409 });
  }
}
`;

const sharedBackend = (
  id: string,
  serviceUrl: string,
) => `import { createClientFromRequest } from 'app-user-connectors/server';

export async function handle(request: Request): Promise<Response> {
  const { connectors } = createClientFromRequest(request, { url: '${serviceUrl}', appKey: process.env.APP_KEY! });
  return connectors.fetchAsSharedAccount('${id}', 'https://api.example.com');
}
`;
