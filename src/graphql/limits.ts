import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  parse,
  type ParseOptions,
  type SelectionSetNode,
  type Source,
} from 'graphql';

/** What one document may hold. Fragments count wherever they are spread. */
const documentLimits = {
  tokens: 2_000,
  fragments: 100,
  depth: 20,
  aliases: 50,
  directives: 50,
  fields: 1_000,
  cost: 500_000,
} as const;

type Measured = 'depth' | 'aliases' | 'directives' | 'fields' | 'cost';
type Measure = Record<Measured, number>;

const words: Record<keyof typeof documentLimits, string> = {
  tokens: 'tokens',
  fragments: 'fragments',
  depth: 'levels of fields',
  aliases: 'aliases',
  directives: 'directives',
  fields: 'fields, each counted as often as it is written or spread,',
  cost: 'fields to answer, each counted once per entry of the pages around it,',
};

/** What a page holds that is not told how much, and the most it can be told. */
const defaultPage = 20;
const largestPage = 100;

/**
 * Parses a document, and counts it before anything else looks at it: validation compares fields of one name with each other, and
 * follows every spread (THREATS T13). Every door to the schema parses through this.
 * @throws GraphQLError that names the limit
 */
export function parseWithinLimits(source: string | Source, options?: ParseOptions): DocumentNode {
  let document: DocumentNode;
  try {
    document = parse(source, { ...options, maxTokens: documentLimits.tokens });
  } catch (error) {
    if (error instanceof GraphQLError && error.message.includes('Parsing aborted')) throw exceeded('tokens');
    throw error;
  }
  checkLimits(document);
  return document;
}

function exceeded(name: keyof typeof documentLimits): GraphQLError {
  const limit = documentLimits[name].toLocaleString('en');
  return new GraphQLError(
    `The document is too large: it may hold at most ${limit} ${words[name]} (limit: ${name}). Ask for less, or in several operations.`,
    { extensions: { code: 'VALIDATION', limit: name, max: documentLimits[name] } },
  );
}

const nothing = (): Measure => ({ depth: 0, aliases: 0, directives: 0, fields: 0, cost: 0 });
const measured = Object.keys(nothing()) as Measured[];

function checkLimits(document: DocumentNode): void {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  if (fragments.size > documentLimits.fragments) throw exceeded('fragments');

  const known = new Map<string, Measure>();
  /** Of a fragment spread within a page of that size; measured once, however often it is spread. */
  function ofFragment(name: string, page: number): Measure {
    const key = `${page} ${name}`;
    const found = known.get(key);
    if (found) return found;
    known.set(key, nothing()); // one that spreads itself: validation refuses it
    const fragment = fragments.get(name);
    const measure = fragment ? ofSelections(fragment.selectionSet, page) : nothing();
    measure.directives += fragment?.directives?.length ?? 0;
    known.set(key, measure);
    return measure;
  }

  function ofSelections({ selections }: SelectionSetNode, page: number): Measure {
    const sum = nothing();
    for (const selection of selections) {
      const part =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? { ...ofFragment(selection.name.value, page) }
          : selection.selectionSet
            ? ofSelections(selection.selectionSet, selection.kind === Kind.FIELD ? pageOf(selection) : page)
            : nothing();
      if (selection.kind === Kind.FIELD) {
        part.depth += 1;
        part.fields += 1;
        part.cost = (part.cost + 1) * (selection.name.value === 'edges' ? page : 1);
        if (selection.alias) part.aliases += 1;
      }
      part.directives += selection.directives?.length ?? 0;
      for (const name of measured)
        sum[name] = name === 'depth' ? Math.max(sum.depth, part.depth) : sum[name] + part[name];
    }
    return sum;
  }

  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION) continue;
    const measure = ofSelections(definition.selectionSet, defaultPage);
    measure.directives += definition.directives?.length ?? 0;
    const over = measured.find((name) => measure[name] > documentLimits[name]);
    if (over) throw exceeded(over);
  }
}

/** How many entries a field's page holds at most. What a variable will say is not known here. */
function pageOf(field: { arguments?: readonly { name: { value: string }; value: { kind: Kind } }[] }): number {
  const asked = field.arguments?.find(({ name }) => name.value === 'first' || name.value === 'last')?.value;
  if (!asked) return defaultPage;
  const count = asked.kind === Kind.INT ? Number((asked as unknown as { value: string }).value) : largestPage;
  return Math.min(Math.max(count, 1), largestPage);
}
