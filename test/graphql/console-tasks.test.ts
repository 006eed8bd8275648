import { parse, type OperationDefinitionNode, validate } from 'graphql';
import { expect, test, vi } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { consoleTasks } from '../../src/http/console-tasks.ts';
import { createPlace } from '../support/calls.ts';
import { startService } from '../support/harness.ts';

vi.setConfig({ testTimeout: 120_000 });

test('every task of the console fits the schema, has a name of its own, and explains its variables', () => {
  const names = consoleTasks.map(({ query, variables }) => {
    const document = parse(query);
    expect(validate(schema, document)).toEqual([]);
    const [operation] = document.definitions as [OperationDefinitionNode];
    const declared = operation.variableDefinitions?.map(({ variable }) => variable.name.value);
    expect(Object.keys(variables)).toEqual(declared);
    expect(query).toMatch(/^# /);
    return operation.name?.value;
  });
  expect(new Set(names).size).toBe(consoleTasks.length);
});

test('every task runs as the console fills it in', async () => {
  const service = await startService();
  const { workspace, app, connectorId, sharedConnectorId } = await createPlace(service);
  const values: Record<string, string> = { workspaceId: workspace.id, appId: app.id, connectorId, sharedConnectorId };
  const outcomes: Record<string, unknown> = {};
  for (const { query, variables } of consoleTasks.filter((task) => !task.query.includes('subscription'))) {
    const filled = JSON.stringify(variables).replace(/\{(\w+)\}/g, (_whole, name: string) => values[name] ?? '');
    const { data, errors } = await service.graphql(
      query,
      JSON.parse(filled) as Record<string, unknown>,
      workspace.owner,
    );
    expect([query, errors]).toEqual([query, []]);
    const [name = '', answer] = Object.entries(data ?? {})[0] ?? [];
    outcomes[/(?:query|mutation) (\w+)/.exec(query)?.[1] ?? name] = (answer as { code?: string }).code ?? 'ok';
  }
  expect(outcomes).toEqual({
    Overview: 'ok',
    Providers: 'ok',
    AddConnector: 'ok',
    PreviewEdit: 'ok',
    EditConnector: 'ok',
    CheckConnector: 'ok',
    DeleteConnector: 'CONFIRMATION_REQUIRED',
    RevokeAll: 'CONFIRMATION_REQUIRED',
    RevocationProgress: 'ok',
    Availability: 'ok',
    SetAvailability: 'CONFIRMATION_REQUIRED',
    Audit: 'ok',
    Members: 'ok',
    SetMember: 'VALIDATION', // whose role it is, and which key ends, the admin must say
    CreateKey: 'ok',
    RevokeKey: 'NOT_FOUND',
  });
});
