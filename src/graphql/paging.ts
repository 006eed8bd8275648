import { type DefaultConnectionArguments, resolveCursorConnection } from '@pothos/plugin-relay';
import {
  type DocumentNode,
  getArgumentValues,
  getOperationAST,
  getVariableValues,
  GraphQLError,
  type GraphQLSchema,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';

/** An operation that is about to run. */
interface Operation {
  schema: GraphQLSchema;
  document: DocumentNode;
  operationName?: string | null | undefined;
  variableValues?: Readonly<Record<string, unknown>> | null | undefined;
}

/**
 * Refuses page arguments that name no page, before anything runs. plugin-prisma only looks at a cursor's prefix: what else a
 * crafted one holds, of whatever type, it would put into the query.
 */
export function checkPaging({ schema, document, operationName, variableValues }: Operation): GraphQLError[] {
  const operation = getOperationAST(document, operationName);
  if (!operation) return [];
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], variableValues ?? {});
  if (!coerced) return []; // the execution says what is wrong with the variables
  const errors: GraphQLError[] = [];
  const typeInfo = new TypeInfo(schema);
  const visitor = visitWithTypeInfo(typeInfo, {
    OperationDefinition: (node) => (node === operation ? undefined : false),
    Field(node) {
      const definition = typeInfo.getFieldDef();
      if (!definition?.args.some(({ name }) => name === 'after')) return;
      const fault = pagingFault(getArgumentValues(definition, node, coerced));
      if (fault) errors.push(new GraphQLError(fault, { nodes: node, extensions: { code: 'VALIDATION' } }));
    },
  });
  visit(document, visitor);
  return errors;
}

/** What is wrong with the arguments of a page, in a sentence; null where nothing is. */
function pagingFault({ first, last, after, before }: Record<string, unknown>): string | null {
  for (const [name, count] of Object.entries({ first, last })) {
    if (typeof count === 'number' && count < 0)
      return `\`${name}\` cannot be negative: it says how many entries to give.`;
  }
  for (const [name, cursor, other] of [
    ['after', after, 'endCursor'],
    ['before', before, 'startCursor'],
  ] as const) {
    if (typeof cursor === 'string' && !isCursor(cursor)) {
      return `\`${name}\` holds no cursor: give the \`${other}\` of a page, or leave it out.`;
    }
  }
  const given = (...values: unknown[]) => values.every((value) => value !== undefined && value !== null);
  if (given(first, last) || given(after, before) || given(first, before) || given(last, after)) {
    return 'A page is given by `first` and `after`, or by `last` and `before`, and not by both.';
  }
  return null;
}

const cursorPrefix = 'GPC:S:';

/** Whether a text is a cursor as the pages give them: of an entry's id. */
function isCursor(text: string): boolean {
  const decoded = Buffer.from(text, 'base64');
  return decoded.toString('base64') === text && /^GPC:S:[A-Za-z0-9_.-]{1,200}$/.test(decoded.toString('latin1'));
}

/** The cursor of an entry, as plugin-prisma writes them. */
export function cursorOf(id: string): string {
  return Buffer.from(cursorPrefix + id).toString('base64');
}

/** The entry of a cursor that has passed `checkPaging`. */
export function idOfCursor(cursor: string): string {
  return Buffer.from(cursor, 'base64').toString().slice(cursorPrefix.length);
}

/** A page of a list that is there as a whole, by the same arguments and cursors as those that plugin-prisma reads. */
export function pageOf<T extends { id: string }>(all: readonly T[], args: DefaultConnectionArguments) {
  return resolveCursorConnection<Promise<T[]>>(
    { args, toCursor: ({ id }: T) => cursorOf(id) },
    async ({ before, after, limit, inverted }) => {
      const at = (cursor: string) => all.findIndex(({ id }) => id === idOfCursor(cursor));
      const from = after === undefined ? 0 : at(after) + 1 || all.length; // what is gone has nothing behind it
      const to = before === undefined ? all.length : Math.max(0, at(before));
      const part = all.slice(from, to);
      return (inverted ? part.toReversed() : part).slice(0, limit);
    },
  );
}
