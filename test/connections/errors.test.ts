import { expect, test } from 'vitest';
import {
  AccountOwnedError,
  AmbiguousProviderError,
  clientFacts,
  flowError,
  hostFacts,
  NotConnectedError,
  ReconnectRequiredError,
  withFacts,
} from '../../src/connections/errors.ts';

test('54. each error says who can mend it and how, with what there is to paste', () => {
  expect(new NotConnectedError()).toMatchObject({
    code: 'NOT_CONNECTED',
    remedy: { actor: 'USER', steps: ['Press Connect and allow the access.'], values: [] },
  });
  expect(new AccountOwnedError('anna')).toMatchObject({
    code: 'ACCOUNT_OWNED',
    owner: 'anna',
    remedy: { actor: 'USER', steps: [expect.stringContaining('owner'), expect.stringContaining('takeOver: true')] },
  });
  expect(new AmbiguousProviderError(['one', 'two'])).toMatchObject({
    code: 'VALIDATION',
    fields: [{ path: 'providerKey', message: expect.stringContaining('(one, two)') }],
    remedy: {
      actor: 'ADMIN',
      steps: ['Choose the connector below that is meant.', 'Name it by its id instead of its provider.'],
      values: ['one', 'two'].map((value) => ({ label: 'Connector', value })),
    },
  });
});

test('54. who must consent again is told why; which scopes are new, only where they are the reason', () => {
  const missing = ['calendar.write'];
  const changed = new ReconnectRequiredError('SCOPES_CHANGED', missing);
  expect(changed).toMatchObject({ reconnectReason: 'SCOPES_CHANGED', missingScopes: missing });
  expect(changed.failure?.name).toBe('SCOPES_CHANGED');
  expect(JSON.stringify(changed.remedy)).toContain('calendar.write');
  const sentences = new Set([changed.message]);
  for (const reason of ['CREDENTIALS_CHANGED', 'ACCESS_REVOKED', 'GRANT_EXPIRED'] as const) {
    const error = new ReconnectRequiredError(reason, missing);
    expect(error).toMatchObject({ reconnectReason: reason, failure: null, remedy: { ...changed.remedy, values: [] } });
    sentences.add(error.message);
  }
  expect([...sentences]).toEqual([
    expect.any(String),
    ...Array(3).fill(expect.stringMatching(/changed|revoked|expired/)),
  ]);
});

test('54. what is known of a client, and where it is described, is told with a failure; what is not known is left out', () => {
  const own = { providerKey: 'github', clientId: 'own', operatorClientId: null };
  expect(clientFacts(own)).toEqual({
    clientIsOperators: false,
    clientId: 'own',
    docsUrl: expect.stringMatching(/^https:/),
  });
  expect(clientFacts({ ...own, operatorClientId: 'operators' })).toMatchObject({
    clientIsOperators: true,
    clientId: 'operators',
  });
  expect(clientFacts({ ...own, providerKey: 'custom', clientId: null })).toEqual({ clientIsOperators: false });
  expect([hostFacts('one.example.com'), hostFacts(null)]).toEqual([{ host: 'one.example.com' }, {}]);

  const failed = withFacts(flowError('INVALID_CLIENT'), { clientId: 'own' });
  expect(failed).toMatchObject({ code: 'INVALID_CLIENT', failure: { facts: { clientId: 'own' } } });
  const other = new NotConnectedError();
  expect(withFacts(other, { clientId: 'own' })).toBe(other);
});
