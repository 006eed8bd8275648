import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { createApp, type Overrides } from '../../src/app.ts';
import { parseConfig } from '../../src/config.ts';
import { issueIdentityToken, PEOPLE, startSchedulingApp } from './app-server.ts';
import { type CalendarProvider, startCalendarProvider } from './calendar-provider.ts';
import { emptyDatabase } from './empty-database.ts';
import { TASK_LIST } from './task-data.ts';
import { type GraphiqlTab, graphiqlTabs } from './graphiql-tabs.ts';
import { calendarSource, taskSource } from './upcoming-events.ts';
import { createTeamLeadTokens, LEAD_AUDIENCE } from './team-leads.ts';
import { type SeededWorkspace, seedWorkspace } from './seed.ts';

const ACCESS_TOKEN_SECONDS = 30;
const IDENTITY_TOKEN_SECONDS = 12 * 3600;

export interface Demo extends SeededWorkspace {
  appUrl: string;
  serviceUrl: string;
  providerUrl: string;
  provider: CalendarProvider;
  /** The task list, a provider of its own. */
  taskProvider: CalendarProvider;
  operatorKey: string;
  /** An identity token of person one, good for twelve hours. */
  identityToken: string;
  stop: () => Promise<void>;
}

/**
 * Starts the provider, the service, a seeded workspace and the app. Nothing outlives the process. `overrides` put parts of the
 * service in place of the usual ones, for tests.
 */
export async function startDemo(
  env: Readonly<Record<string, string | undefined>>,
  overrides: Overrides = {},
): Promise<Demo> {
  const providerPort = readPort(env, 'DEMO_PROVIDER_PORT', 4200);
  const tasksPort = readPort(env, 'DEMO_TASKS_PORT', 4300);
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
    const taskProvider = await startCalendarProvider({
      port: tasksPort,
      service: TASK_LIST,
      accessTokenSeconds: ACCESS_TOKEN_SECONDS,
    });
    closers.push(taskProvider.stop);

    const operatorKey = `operator_${randomBytes(24).toString('base64url')}`;
    const appOrigin = `http://localhost:${appPort}`;
    const leads = await createTeamLeadTokens(appOrigin);
    const config = parseConfig({
      PORT: String(servicePort),
      PUBLIC_URL: `http://localhost:${servicePort}`,
      OPERATOR_KEY: operatorKey,
      ENCRYPTION_KEYS: `demo:${randomBytes(32).toString('base64')}`,
      DATA_DIR: 'memory://',
      LOG_LEVEL: 'warn',
      ADMIN_ISSUER: appOrigin,
      ADMIN_AUDIENCE: LEAD_AUDIENCE,
      ADMIN_JWKS_URL: `${appOrigin}/.well-known/jwks.json`,
    });
    let tabs: GraphiqlTab[] = [];
    const snapshot = await emptyDatabase();
    const service = await createApp(config, { snapshot, ...overrides, graphiqlTabs: () => tabs });
    closers.push(() => service.stop());
    const { url: listeningUrl } = await service.listen();

    const seeded = await seedWorkspace({
      graphqlUrl: new URL('/graphql', listeningUrl).href,
      operatorKey,
      appOrigin,
      leads: PEOPLE.filter(({ isLead }) => isLead).map(({ id }) => id),
      provider,
      taskProvider,
    });
    const identityToken = await issueIdentityToken(seeded.identity, personOne, IDENTITY_TOKEN_SECONDS);
    tabs = graphiqlTabs({ ...seeded, providerIssuer: provider.issuer, identityToken });

    const app = await startSchedulingApp({
      port: appPort,
      serviceUrl: listeningUrl,
      appId: seeded.appId,
      appKey: seeded.appKey,
      identity: seeded.identity,
      sources: new Map([
        [seeded.connectorId, calendarSource(provider.eventsUrl)],
        [seeded.tasksConnectorId, taskSource(taskProvider.eventsUrl)],
      ]),
      team: { connectorId: seeded.sharedConnectorId, eventsUrl: provider.eventsUrl, tokens: leads },
    });
    closers.push(app.stop);

    return {
      ...seeded,
      appUrl: app.url,
      serviceUrl: config.publicUrl,
      providerUrl: provider.url,
      provider,
      taskProvider,
      operatorKey,
      identityToken,
      stop,
    };
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

async function main(): Promise<void> {
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
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main().catch((error: unknown) => {
    console.error(`\n  ${explain(error)}\n`);
    process.exit(1);
  });
}
