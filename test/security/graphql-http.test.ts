import { serverAudits } from 'graphql-http';
import { expect, test } from 'vitest';
import { startService } from '../support/harness.ts';

/** What a server MAY do and this one does not: a query by GET is refused on purpose (THREATS T14). */
const byGet = ['5A70', 'D6D5', '6A70'];

test('GraphQL over HTTP: every MUST and SHOULD of the reference audits passes, and every MAY but for queries by GET', async () => {
  const { app, config } = await startService();
  const audits = serverAudits({
    url: `${config.publicUrl}/graphql`,
    fetchFn: (url: string, init: RequestInit) => app.fetch(new Request(url, init)),
  });
  expect(audits.length).toBeGreaterThan(50);
  const failed: string[] = [];
  for (const audit of audits) {
    const result = await audit.fn();
    if (result.status !== 'ok')
      failed.push(audit.name.startsWith('MAY') ? audit.id : `${audit.id} ${audit.name}: ${result.reason}`);
  }
  expect(failed).toEqual(byGet);
});
