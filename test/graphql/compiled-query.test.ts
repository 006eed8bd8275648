import fc from 'fast-check';
import {
  buildSchema,
  execute,
  type GraphQLAbstractType,
  type GraphQLFieldResolver,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  type GraphQLScalarType,
  isAbstractType,
  isCompositeType,
  getNamedType,
  isObjectType,
  parse,
  validate,
} from 'graphql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { compileQuery } from '../../src/graphql/compiled-query.ts';

const schema = buildSchema(`
  type Query {
    pet(kind: Kind! = CAT, name: String, size: Int): Pet
    pets(count: Int = 3): [Pet!]!
    anything: [Anything]
    matrix: [[Int]!]
    broken: Broken
    told: String
    self: Query
    needs(text: String!): String
  }
  enum Kind { CAT DOG }
  interface Pet { name: String! kind: Kind! friend: Pet ids(prefix: String = "p"): [ID!] }
  type Cat implements Pet { name: String! kind: Kind! friend: Pet ids(prefix: String = "p"): [ID!] lives: Int! }
  type Dog implements Pet { name: String! kind: Kind! friend: Pet ids(prefix: String = "p"): [ID!] good: Boolean weight: Float }
  union Anything = Cat | Dog | Stone
  type Stone { name: String text: String }
  type Broken { fails: String rejects: String null: String! error: Broken undefinedText: Text wrong: Kind pet: Pet list: [String] fine: String slow: Broken }
  scalar Text
`);

const later = <T>(value: T) => new Promise<T>((resolve) => setImmediate(() => resolve(value)));
const told = ({
  fieldName,
  path,
  variableValues,
  parentType,
  returnType,
  fieldNodes,
  fragments,
  operation,
}: GraphQLResolveInfo) =>
  JSON.stringify({
    fieldName,
    path,
    variableValues,
    on: parentType.name,
    as: String(returnType),
    nodes: fieldNodes.length,
    fragments: Object.keys(fragments),
    of: operation.operation,
  });

const cat = { __typename: 'Cat', name: 'Mia "the\u2028cat"', kind: 'CAT', lives: 9, ids: ['1', later(2)] };
const dog = {
  __typename: 'Dog',
  name: later('Rex'),
  kind: later('DOG'),
  good: null,
  weight: 1.5,
  ids: later(null),
  friend: later(cat),
};
const stone = {
  __typename: 'Stone',
  text: (_args: unknown, context: string, info: GraphQLResolveInfo) => `${context} ${told(info)}`,
};

function resolveWith(type: string, resolvers: Record<string, GraphQLFieldResolver<unknown, unknown>>) {
  const found = schema.getType(type);
  for (const [name, resolve] of Object.entries(resolvers)) {
    const field = isObjectType(found) && found.getFields()[name];
    if (field) field.resolve = resolve;
  }
}
const fail = () => {
  throw new Error('it fails');
};
resolveWith('Query', {
  pet: (_root, { kind, name, size }) =>
    later({ ...(kind === 'CAT' ? cat : dog), ...(name !== undefined && { name: `${name} ${size}` }) }),
  pets: (_root, { count }) => Array.from({ length: count }, (_, at) => (at % 2 ? dog : later(cat))),
  anything: () => [cat, null, later(dog), stone],
  matrix: () => [[1, later(null)], later([]), new Set([2])],
  told: (_root, args, context, info) => `${JSON.stringify([args, context])} ${told(info)}`,
  broken: () => ({ fine: 'fine' }),
  self: () => ({}),
});
resolveWith('Broken', {
  fails: fail,
  rejects: () => later(null).then(fail),
  null: () => later(null),
  error: () => new Error('it is one'),
  undefinedText: () => 'text',
  wrong: () => 'BIRD',
  pet: () => ({ __typename: 'Stone' }),
  list: () => 'no list',
  slow: () => later({}),
});
resolveWith('Cat', { ids: (pet, { prefix }) => (pet as typeof cat).ids.map(async (id) => `${prefix}${await id}`) });
(schema.getType('Text') as unknown as { serialize: () => undefined }).serialize = () => undefined;

/** What both ways answer. */
async function answers(source: string, variables: Record<string, unknown> = {}) {
  const document = parse(source);
  expect(validate(schema, document)).toEqual([]);
  const contextValue = 'context';
  const usual = await execute({ schema, document, contextValue, variableValues: variables });
  const compiled = await compileQuery(schema, document)?.(variables)?.(contextValue);
  return { usual, compiled };
}

async function expectSame(source: string, variables?: Record<string, unknown>) {
  const { usual, compiled } = await answers(source, variables);
  expect(usual.errors).toBeUndefined();
  expect(compiled).toBe(JSON.stringify(usual.data));
}

describe('a compiled query', () => {
  test.each([
    ['a field of its own name, an alias, the type', '{ __typename told same: told __proto__: told }'],
    ['lists of lists, of what is there and what is awaited', '{ matrix anything { __typename } }'],
    ['an interface', '{ pet { __typename name kind ... on Dog { good } ... on Cat { lives ids } } }'],
    [
      'a union, with a fragment on an interface',
      '{ anything { ... on Pet { kind } ... on Stone { name text } ...C } } fragment C on Cat { lives }',
    ],
    [
      'what is asked for in several places',
      '{ pet(kind: DOG) { name friend { name } ...F ... { name } } } fragment F on Pet { friend { kind ... on Cat { lives } } name }',
    ],
    ['a fragment that is spread twice', '{ ...F ...F } fragment F on Query { told }'],
    ['defaults of a root field that is asked below the root', '{ self { pets { name } pet { name } told } told }'],
    [
      'arguments of the document',
      '{ pet(kind: DOG, name: "a", size: 3) { name } other: pet(name: null) { name } pets(count: 2) { ids friend { kind } } }',
    ],
  ])('answers what execute answers: %s', async (_name, source) => expectSame(source));

  test('takes variables, their defaults, and what is left out', async () => {
    const source =
      'query Q($kind: Kind! = DOG, $size: Int, $name: String) { pet(kind: $kind, name: $name, size: $size) { name kind } told }';
    await expectSame(source, { name: 'x', size: 3 });
    await expectSame(source, { kind: 'CAT', size: null, other: 1 });
    await expectSame(source);
  });

  test('may be bound again, and run again, at the same time', async () => {
    const run = compileQuery(schema, parse('query ($n: String!) { pet(name: $n) { name } }'));
    const [one, two] = [run?.({ n: 'one' }), run?.({ n: 'two' })];
    const texts = await Promise.all([one?.(null), two?.(null), one?.(null)]);
    expect(texts).toEqual(['one', 'two', 'one'].map((n) => `{"pet":{"name":"${n} undefined"}}`));
  });

  test('answers what execute answers, whatever is asked', async () => {
    const keys = fc.constantFrom('a', 'b', '__proto__', 'constructor');
    const fieldsOf = (name: string, depth: number): fc.Arbitrary<string> => {
      const type = schema.getType(name);
      if (!isCompositeType(type)) throw new Error(`${name} has no fields`);
      const own = 'getFields' in type ? Object.values(type.getFields()) : [];
      const usable = own.filter((field) => depth > 0 || !isCompositeType(getNamedType(field.type)));
      const fields = usable
        .filter(({ name: field }) => field !== 'broken' && field !== 'needs')
        .map((field) => {
          const inner = getNamedType(field.type);
          const below = isCompositeType(inner) ? fieldsOf(inner.name, depth - 1) : fc.constant('');
          return fc
            .tuple(fc.option(keys), below)
            .map(([key, text]) => `${key === null ? '' : `${key}: `}${field.name} ${text}`);
        });
      const narrower = isAbstractType(type)
        ? schema.getPossibleTypes(type as GraphQLAbstractType).map((one) => one.name)
        : [];
      const inFragment = [...narrower, name]
        .filter(() => depth > 0)
        .map((one) => fieldsOf(one, depth - 1).map((text) => `... on ${one} ${text}`));
      const parts = fc.oneof(fc.constant('__typename'), ...fields, ...inFragment);
      return fc.array(parts, { minLength: 1, maxLength: 4 }).map((chosen) => `{ ${chosen.join(' ')} }`);
    };
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(fieldsOf('Query', 3), async (source) => {
        fc.pre(validate(schema, parse(source)).length === 0);
        await expectSame(source);
        compared += 1;
      }),
      { numRuns: 300, maxSkipsPerRun: 100 },
    );
    expect(compared).toBeGreaterThanOrEqual(300);
  });

  test.each([
    ['a resolver that throws, while another is awaited', '{ broken { rejects fails slow { rejects } } }', 'it fails'],
    ['a resolver that rejects', '{ broken { fine rejects } }', 'it fails'],
    ['null where none may be', '{ broken { null } }', 'Broken.null is null'],
    ['an error in the place of a value', '{ broken { error { fine } } }', 'it is one'],
    ['a scalar that has no text', '{ broken { undefinedText } }', 'it is no Text'],
    ['a value that is none of the enum', '{ broken { wrong } }', 'Enum "Kind" cannot represent value'],
    ['an object of a type that is not among those possible', '{ broken { pet { name } } }', 'it is no Pet'],
    ['a list that is none', '{ broken { list } }', 'Broken.list is no list'],
  ])('rejects where execute has an error to tell: %s', async (_name, source, message) => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const document = parse(source);
    expect(validate(schema, document)).toEqual([]);
    expect((await execute({ schema, document })).errors).toBeDefined();
    await expect(compileQuery(schema, document)?.({})?.(null)).rejects.toThrow(message);
    for (let turn = 0; turn < 5; turn += 1) await later(null);
    expect(unhandled).toEqual([]);
  });

  test('rejects when all that it began has ended', async () => {
    const slow = buildSchema('type Query { late: String fails: String }');
    const { late, fails } = slow.getQueryType()?.getFields() ?? {};
    const ended: string[] = [];
    if (late) late.resolve = () => later(later(later(null))).then(() => ended.push('late'));
    if (fails) fails.resolve = fail;
    await expect(compileQuery(slow, parse('{ fails late }'))?.({})?.(null)).rejects.toThrow('it fails');
    expect(ended).toEqual(['late']);
  });

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['a function', () => 'text'],
  ])('rejects a scalar that serializes to %s', async (_name, serialized) => {
    const scalars = buildSchema('scalar Odd type Query { odd: Odd }');
    const { odd } = scalars.getQueryType()?.getFields() ?? {};
    if (odd) odd.resolve = () => 'value';
    (scalars.getType('Odd') as GraphQLScalarType).serialize = () => serialized;
    await expect(compileQuery(scalars, parse('{ odd }'))?.({})?.(null)).rejects.toThrow('it is no Odd');
  });

  test('asks a type whether a value is one of it', async () => {
    const checked = buildSchema('type Query { one: One } type One { text: String }');
    const one = checked.getType('One') as GraphQLObjectType;
    const document = parse('{ one { text } }');
    const { one: field } = checked.getQueryType()?.getFields() ?? {};
    if (field) field.resolve = () => ({ text: 'x' });
    const run = compileQuery(checked, document)?.({});
    for (const isOne of [true, later(true)]) {
      one.isTypeOf = () => isOne;
      expect(await run?.(null)).toBe('{"one":{"text":"x"}}');
    }
    for (const isNone of [false, later(false), undefined, later(undefined)]) {
      one.isTypeOf = () => isNone as boolean;
      expect((await execute({ schema: checked, document })).errors).toHaveLength(1);
      await expect(run?.(null)).rejects.toThrow('it is no One');
    }
  });

  test.each([
    ['variables that are missing', 'query ($n: Int!) { pets(count: $n) { name } }', {}],
    ['null where a default stands in for nothing else', 'query ($n: String = "x") { needs(text: $n) }', { n: null }],
    ['variables of another type', 'query ($n: Int!) { pets(count: $n) { name } }', { n: 'x' }],
  ])('is not bound to %s', (_name, source, variables) => {
    expect(compileQuery(schema, parse(source))?.(variables)).toBeNull();
  });

  test.each([
    ['@include', 'query ($yes: Boolean!) { told @include(if: $yes) }'],
    ['@skip in a fragment', '{ ...F } fragment F on Query { told @skip(if: false) }'],
    ['arguments below the root', '{ pet { ids(prefix: "x") } }'],
    ['arguments in a fragment', '{ ...F } fragment F on Query { pets(count: 1) { name } }'],
    ['a mutation', 'mutation { told }'],
    ['introspection', '{ told __schema { queryType { name } } }'],
    ['several operations', 'query A { told } query B { told }'],
  ])('is not made of %s', (_name, source) => {
    expect(compileQuery(schema, parse(source))).toBeNull();
  });
});
