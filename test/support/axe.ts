import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

/**
 * What keeps people out of a part of a page, each as its rule and where. The page's own policy lets no script in, so axe runs from
 * the outside.
 */
export async function violations(page: Page, part = 'html'): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations: found } = (await page.evaluate(
    `axe.run(${JSON.stringify(part)}, { resultTypes: ['violations'] })`,
  )) as AxeResults;
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`).sort();
}
