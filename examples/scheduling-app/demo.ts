import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { createApp } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { issueIdentityToken, PEOPLE, startSchedulingApp } from './app-server.ts';
import { startCalendarProvider } from './calendar-provider.ts';
import { type GraphiqlTab, graphiqlTabs } from './graphiql-tabs.ts';
import { type SeededWorkspace, seedWorkspace } from './seed.ts';

const ACCESS_TOKEN_SECONDS = 30;
const IDENTITY_TOKEN_SECONDS = 12 * 3600;

export interface Demo extends SeededWorkspace {
  appUrl: string;
  serviceUrl: string;
  providerUrl: string;
  operatorKey: string;
  /** An identity token of person one, good for twelve hours. */
  identityToken: string;
  stop: () => Promise<void>;
}

/** Starts the provider, the service, a seeded workspace and the app. Nothing outlives the process. */
export async function startDemo(env: Readonly<Record<string, string | undefined>>): Promise<Demo> {
  const providerPort = readPort(env, 'DEMO_PROVIDER_PORT', 4200);
  const appPort = readPort(env, 'DEMO_APP_PORT', 4100);
  const servicePort = readPort(env, 'PORT', 4000);
  const [personOne] = PEOPLE;
  if (!personOne) throw new Error('The app knows nobody.');

  const closers: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (let close = closers.pop(); close; close = closers.pop()) await close();
  };

  try {
    const provider = await startCalendarProvider({ port: providerPort, accessTokenSeconds: ACCESS_TOKEN_SECONDS });
    closers.push(provider.stop);

    const operatorKey = `operator_${randomBytes(24).toString('base64url')}`;
    const config = parseConfig({
      PORT: String(servicePort),
      PUBLIC_URL: `http://localhost:${servicePort}`,
      OPERATOR_KEY: operatorKey,
      ENCRYPTION_KEYS: `demo:${randomBytes(32).toString('base64')}`,
      DATA_DIR: 'memory://',
      LOG_LEVEL: 'warn',
    });
    let tabs: GraphiqlTab[] = [];
    const service = await createApp(config, { graphiqlTabs: () => tabs });
    closers.push(() => service.stop());
    const { url: listeningUrl } = await service.listen();

    const seeded = await seedWorkspace({
      graphqlUrl: new URL('/graphql', listeningUrl).href,
      operatorKey,
      appOrigin: `http://localhost:${appPort}`,
      provider,
    });
    const identityToken = await issueIdentityToken(seeded.identity, personOne, IDENTITY_TOKEN_SECONDS);
    tabs = graphiqlTabs({ ...seeded, providerIssuer: provider.issuer, identityToken });

    const app = await startSchedulingApp({
      port: appPort,
      serviceUrl: listeningUrl,
      appId: seeded.appId,
      appKey: seeded.appKey,
      identity: seeded.identity,
      eventsUrl: provider.eventsUrl,
    });
    closers.push(app.stop);

    const serviceUrl = config.publicUrl;
    return { ...seeded, appUrl: app.url, serviceUrl, providerUrl: provider.url, operatorKey, identityToken, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function readPort(env: Readonly<Record<string, string | undefined>>, name: string, fallback: number): number {
  const value = env[name] || String(fallback);
  const port = Number(value);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`${name} holds ${JSON.stringify(value)}, but a port from 1 to 65535 is expected.`);
  }
  return port;
}

function describeDemo(demo: Demo): string {
  const isTerminal = process.stdout.isTTY && !process.env.NO_COLOR;
  const bold = (text: string): string => (isTerminal ? `\u001b[1m${text}\u001b[0m` : text);
  const faint = (text: string): string => (isTerminal ? `\u001b[2m${text}\u001b[0m` : text);
  const row = (label: string, value: string, note = ''): string =>
    `    ${label.padEnd(16)}${note ? `${value.padEnd(31)} ${faint(note)}` : value}`;

  return `
  ${bold('Open')}
${row('App', demo.appUrl, 'sign in as Person one, press Connect')}
${row('GraphiQL', `${demo.serviceUrl}/graphql`, 'tabs with headers and variables filled in')}
${row('Calendar', demo.providerUrl, 'the provider: which apps have access, Revoke')}

  ${bold('Try')}
    1. Connect and allow. Events appear; the token is another one every ${ACCESS_TOKEN_SECONDS} seconds or sooner.
    2. In GraphiQL run "Edit scopes": the open page turns to Reconnect. "Put scopes back" heals it.
    3. Revoke at the calendar: the next refresh is refused, and the page asks to reconnect.

  ${bold('Credentials')} ${faint('(of this run only)')}
${row('Operator key', demo.operatorKey)}
${row('Workspace key', demo.workspaceKey, 'ADMIN')}
${row('App key', demo.appKey, 'for the app’s backend')}
${row('Workspace id', demo.workspaceId)}
${row('App id', demo.appId)}
${row('Connector id', demo.connectorId)}

    Identity token of Person one, for twelve hours; goes with X-App-Id:
    ${demo.identityToken}

  ${bold('Paste')}
    curl -s ${demo.serviceUrl}/graphql -H 'content-type: application/json' \\
      -H 'authorization: Bearer ${demo.workspaceKey}' \\
      -d '{"query":"{ connector(id: \\"${demo.connectorId}\\") { name scopes redirectUris { kind uri } } }"}'

  ${faint('Ctrl-C ends it all. Nothing is kept.')}
`;
}

function explain(error: unknown): string {
  const { code, port } = error as { code?: string; port?: number };
  if (code === 'EADDRINUSE') {
    return `Port ${port} is taken. Set DEMO_APP_PORT, DEMO_PROVIDER_PORT or PORT (the service's) to another one.`;
  }
  return error instanceof Error ? error.message : String(error);
}

async function main(): Promise<void> {
  console.log('\n  Starting the calendar provider, the service on an embedded database, and the app …');
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
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main().catch((error: unknown) => {
    console.error(`\n  ${explain(error)}\n`);
    process.exit(1);
  });
}
