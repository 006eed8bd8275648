import type { Locator, Page, Request } from 'playwright-core';
import { expect } from 'vitest';

export const SHOWN = { timeout: 30_000 };

export const tabs = (page: Page): Locator => page.locator('.graphiql-tab-button');
export const query = (page: Page): Locator => page.locator('.graphiql-query-editor .view-lines');
export const variables = (page: Page): Locator => page.locator('.graphiql-editor-tool .view-lines').first();
export const headers = (page: Page): Locator => page.locator('.graphiql-editor-tool .view-lines').last();
export const answer = (page: Page): Locator => page.locator('.graphiql-response .view-lines');
export const execute = (page: Page): Locator => page.locator('.graphiql-execute-button');

/** What an editor shows, with plain spaces. */
export async function textOf(editor: Locator): Promise<string> {
  return (await editor.innerText()).replaceAll('\u00a0', ' ');
}

export function storage(page: Page): Promise<string> {
  return page.evaluate('JSON.stringify(localStorage)');
}

export async function choose(page: Page, tab: string): Promise<void> {
  const button = tabs(page).filter({ hasText: new RegExp(`^${tab}$`) });
  await button.click();
  await expect.poll(() => page.locator('.graphiql-tab-active').innerText(), SHOWN).toBe(tab);
}

export async function write(page: Page, text: string): Promise<void> {
  await query(page).click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.insertText(text);
}

/** Runs a tab (null: the one that is open) with its button. Answers the data; errors fail. */
export async function run(page: Page, tab: string | null): Promise<unknown> {
  if (tab !== null) await choose(page, tab);
  const response = await (await press(page)).response();
  const body = (await response?.json()) as { data?: unknown; errors?: unknown };
  expect(body.errors).toBeUndefined();
  await expect.poll(() => textOf(answer(page)), SHOWN).toContain('"data": {');
  return body.data;
}

/** Presses the button until it runs: too soon after another tab was chosen, GraphiQL still looks for the operation of the one before. */
export async function press(page: Page): Promise<Request> {
  const sent: Request[] = [];
  const collect = (request: Request): void => {
    if (isOperation(request)) sent.push(request);
  };
  page.on('request', collect);
  try {
    for (;;) {
      await execute(page).click();
      await expect
        .poll(async () => sent.length > 0 || (await textOf(answer(page))).includes('Cannot infer operation'), SHOWN)
        .toBe(true);
      if (sent[0]) return sent[0];
    }
  } finally {
    page.off('request', collect);
  }
}

/** Not the introspection that GraphiQL does by itself. */
function isOperation(request: Request): boolean {
  return request.method() === 'POST' && !request.postData()?.includes('__schema');
}
