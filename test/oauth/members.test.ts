import { expect, test } from 'vitest';
import { parseMembers } from '../../src/oauth/members.ts';

test.each([
  ['{"a":1}', { a: 1 }],
  ['{}', {}],
  ['a=1&b=x%20y', { a: '1', b: 'x y' }],
  ['a=1&b=\n', { a: '1', b: '' }],
  ['error.code=1&', { 'error.code': '1' }],
])('T25. an answer of %j has members', (body, members) => {
  expect(parseMembers(body)).toEqual(members);
});

test.each([
  '[1]',
  'null',
  '1',
  'true',
  '"a=1"',
  '',
  'a',
  'see a=1',
  'a=1 b=2',
  'a=1 and',
  'a=1<',
  'a=1&<b',
  '<p class=1>',
  '=1',
])('T25. an answer of %j has none', (body) => {
  expect(parseMembers(body)).toBeNull();
});
