import { expect, onTestFinished } from 'vitest';
import { type Demo, startDemo } from '../../examples/scheduling-app/demo.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { freePort } from './ports.ts';

/** The ports of a demo, as its environment names them. */
export async function freeDemoPorts(): Promise<
  Record<'PORT' | 'DEMO_APP_PORT' | 'DEMO_PROVIDER_PORT' | 'DEMO_TASKS_PORT', string>
> {
  const [service, app, provider, tasks] = [await freePort(), await freePort(), await freePort(), await freePort()];
  return {
    PORT: String(service),
    DEMO_APP_PORT: String(app),
    DEMO_PROVIDER_PORT: String(provider),
    DEMO_TASKS_PORT: String(tasks),
  };
}

/** The whole demo in this process, on ports of its own; stopped when the test has finished, which fails if it logged an error. */
export async function startTestDemo(ports?: Record<string, string>): Promise<Demo> {
  const errors: string[] = [];
  const demo = await startDemo(ports ?? (await freeDemoPorts()), {
    log: createLogger('error', { write: (line) => errors.push(line) }),
    asksProviderOnSave: false, // the tests count what the provider is asked
  });
  onTestFinished(async () => {
    await demo.stop();
    expect(errors).toEqual([]);
  });
  return demo;
}

/** Sends an operation as the demo's admin, as GraphiQL does. Answers its data. */
async function asAdmin(demo: Demo, query: string, variables: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${demo.serviceUrl}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${demo.workspaceKey}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data } = (await response.json()) as { data: Record<string, unknown> };
  return data;
}

/** Sets the scopes of a connector of the demo's: of the calendar, unless named. */
export async function setScopes(demo: Demo, scopes: readonly string[], connectorId = demo.connectorId): Promise<void> {
  const { editConnector } = await asAdmin(
    demo,
    'mutation ($input: EditConnectorInput!) { editConnector(input: $input) { __typename } }',
    { input: { connectorId, scopes } },
  );
  expect(editConnector).toEqual({ __typename: 'EditConnectorPayload' });
}
