/** `npm run demo`: starts it all, prints what to open and paste, and ends with Ctrl-C. */
import { ACCESS_TOKEN_SECONDS, type Demo, startDemo } from './demo.ts';

function describeDemo(demo: Demo): string {
  const isTerminal = process.stdout.isTTY && !process.env.NO_COLOR;
  const bold = (text: string): string => (isTerminal ? `\u001b[1m${text}\u001b[0m` : text);
  const faint = (text: string): string => (isTerminal ? `\u001b[2m${text}\u001b[0m` : text);
  const row = (label: string, value: string, note = ''): string =>
    `    ${label.padEnd(16)}${note ? `${value.padEnd(31)} ${faint(note)}` : value}`;

  return `
  ${bold('Open')}
${row('App', demo.appUrl, 'sign in as Person one, press Connect')}
${row('GraphiQL', `${demo.serviceUrl}/graphql`, 'seven tabs, ready to run')}
${row('Console', `${demo.serviceUrl}/console`, 'for the workspace’s admins: sign in with the workspace key')}
${row('Calendar', demo.providerUrl, 'the provider: who has access, and Revoke')}
${row('Task list', demo.taskProvider.url, 'another provider, with accounts of its own')}

  ${bold('Try')}
    1. Connect and allow. Events appear. A token lives ${ACCESS_TOKEN_SECONDS} seconds, and is renewed by itself.
    2. In GraphiQL run the tab EditScopes: the app's page turns to Reconnect. PutScopesBack heals it.
    3. Revoke the access at the calendar: the app's page asks to reconnect.

  ${bold('Credentials')} ${faint('(of this run only)')}
${row('Operator key', demo.operatorKey)}
${row('Workspace key', demo.workspaceKey, 'role ADMIN')}
${row('App key', demo.appKey, 'for the app’s backend')}
${row('Workspace id', demo.workspaceId)}
${row('App id', demo.appId)}
${row('Connector id', demo.connectorId)}

    Identity token of Person one, good for twelve hours; send the app id as X-App-Id with it:
    ${demo.identityToken}

  ${bold('Paste')} ${faint('(another terminal)')}
    curl -s ${demo.serviceUrl}/graphql -H 'content-type: application/json' \\
      -H 'authorization: Bearer ${demo.workspaceKey}' \\
      -d '{"query":"{ connector(id: \\"${demo.connectorId}\\") { name scopes redirectUris { kind uri } } }"}'

  ${faint('Ctrl-C ends it all. Nothing is kept.')}
`;
}

function explain(error: unknown): string {
  const { code, port } = error as { code?: string; port?: number };
  if (code === 'EADDRINUSE') {
    return `Port ${port} is taken. Set DEMO_APP_PORT, DEMO_PROVIDER_PORT, DEMO_TASKS_PORT or PORT (the service's) to another one.`;
  }
  return error instanceof Error ? error.message : String(error);
}

try {
  console.log('\n  Starting two providers, the service on an embedded database, and the app …');
  const demo = await startDemo(process.env);
  console.log(describeDemo(demo));

  // Once each: whoever presses Ctrl-C a second time does not want to wait.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      console.log('\n  Stopping …');
      demo.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(`  ${explain(error)}`);
          process.exit(1);
        },
      );
    });
  }
} catch (error) {
  console.error(`\n  ${explain(error)}\n`);
  process.exit(1);
}
