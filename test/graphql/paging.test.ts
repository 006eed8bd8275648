import { expect, test } from 'vitest';
import { cursorOf, idOfCursor, pageOf } from '../../src/graphql/paging.ts';

const all = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id }));

async function idsOf(args: Parameters<typeof pageOf>[1]) {
  const page = await pageOf(all, args);
  const { hasNextPage, hasPreviousPage } = page?.pageInfo ?? {};
  const ids = [...(page?.edges ?? [])].map((edge) => edge?.node.id).join('');
  return [hasPreviousPage ? '<' : '', ids, hasNextPage ? '>' : ''].join('');
}

test('a list that is there as a whole is paged like one that is read in pages', async () => {
  expect(await idsOf({})).toBe('abcde');
  expect(await idsOf({ first: 2 })).toBe('ab>');
  expect(await idsOf({ first: 5 })).toBe('abcde');
  expect(await idsOf({ first: 2, after: cursorOf('b') })).toBe('<cd>');
  expect(await idsOf({ first: 2, after: cursorOf('d') })).toBe('<e');
  expect(await idsOf({ last: 2 })).toBe('<de');
  expect(await idsOf({ last: 2, before: cursorOf('d') })).toBe('<bc>');
  expect(await idsOf({ last: 9, before: cursorOf('c') })).toBe('ab>');
  expect(await idsOf({ first: 0 })).not.toMatch(/[a-e]/);
});

test('a cursor of what is no longer there begins an empty page', async () => {
  expect(await idsOf({ first: 2, after: cursorOf('x') })).not.toMatch(/[a-e]/);
  expect(await idsOf({ last: 2, before: cursorOf('x') })).not.toMatch(/[a-e]/);
});

test('a cursor names its entry', () => {
  for (const id of ['a', 'b7c0-1.x_Y']) expect(idOfCursor(cursorOf(id))).toBe(id);
});
