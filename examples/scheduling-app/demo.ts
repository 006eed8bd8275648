import { randomBytes } from 'node:crypto';
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

/** How long an access token of the demo's providers lives. */
export const ACCESS_TOKEN_SECONDS = 30;
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
