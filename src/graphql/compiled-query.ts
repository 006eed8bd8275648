import { completeValue as after } from '@pothos/core';
import {
  type DocumentNode,
  defaultFieldResolver,
  defaultTypeResolver,
  type FieldNode,
  type FragmentDefinitionNode,
  getArgumentValues,
  getNullableType,
  getOperationAST,
  getVariableValues,
  GraphQLError,
  type GraphQLLeafType,
  type GraphQLNullableType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  type InlineFragmentNode,
  isAbstractType,
  isListType,
  isNonNullType,
  isObjectType,
  isLeafType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionSetNode,
  visit,
} from 'graphql';

/** Binds the query to variables. Null where it does not take them, of which `execute` is to tell. */
export type CompiledQuery = (variables: Record<string, unknown>) => BoundQuery | null;

/** Answers the query's `data` as JSON. Rejects where there is an error, of which `execute` is to tell. */
export type BoundQuery = (contextValue: unknown) => Promise<string>;

/** One execution. */
interface Run {
  contextValue: unknown;
  variableValues: Record<string, unknown>;
  /** Of the root fields, by their keys in the answer. */
  args: ReadonlyMap<string, Record<string, unknown>>;
}

type Path = GraphQLResolveInfo['path'];
type MaybePromise<T> = T | PromiseLike<T>;
/** Writes an object's fields, or one of them. */
type WriteFields = (source: unknown, path: Path | undefined, run: Run) => MaybePromise<string>;
/** Writes a field's value, or one of a list. */
type WriteValue = (value: unknown, path: Path, info: GraphQLResolveInfo, run: Run) => MaybePromise<string>;

/**
 * Compiles a valid document of one query. What graphql-js' `execute` finds out at each execution is found out once, and the answer is
 * written as JSON at once: the same text as that of what `execute` answers. Nothing of the document becomes code. Null for what is
 * left to `execute`: mutations, several operations, introspection, directives, and arguments below the root.
 */
export function compileQuery(schema: GraphQLSchema, document: DocumentNode): CompiledQuery | null {
  const operation = getOperationAST(document);
  const queryType = schema.getQueryType();
  if (operation?.operation !== OperationTypeNode.QUERY || !queryType || !isCompilable(document, operation)) return null;
  return compile(schema, document, operation, queryType);
}

function compile(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  queryType: GraphQLObjectType,
): CompiledQuery {
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
  }
  const { selectionSet, variableDefinitions = [] } = operation;

  /** What is asked of an object, by its keys in the answer: each field at all the places that ask for it. */
  function collectFields(
    type: GraphQLObjectType,
    selectionSets: readonly SelectionSetNode[],
  ): Map<string, FieldNode[]> {
    const fields = new Map<string, FieldNode[]>();
    const visited = new Set<FragmentDefinitionNode | InlineFragmentNode>();
    const collect = ({ selections }: SelectionSetNode): void => {
      for (const selection of selections) {
        if (selection.kind === Kind.FIELD) {
          const key = (selection.alias ?? selection.name).value;
          const places = fields.get(key) ?? [];
          fields.set(key, places);
          places.push(selection);
          continue;
        }
        const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments[selection.name.value] : selection;
        if (!fragment || visited.has(fragment)) continue;
        visited.add(fragment);
        const condition = fragment.typeCondition ? schema.getType(fragment.typeCondition.name.value) : type;
        if (condition === type || (isAbstractType(condition) && schema.isSubType(condition, type)))
          collect(fragment.selectionSet);
      }
    };
    selectionSets.forEach(collect);
    return fields;
  }

  function objectWriter(
    type: GraphQLObjectType,
    fields: ReadonlyMap<string, FieldNode[]>,
    isRoot = false,
  ): WriteFields {
    const writers = [...fields].map(([key, nodes]) => fieldWriter(type, key, nodes, isRoot));
    return (source, path, run) =>
      together(
        writers,
        (write) => write(source, path, run),
        (members) => `{${members.join(',')}}`,
      );
  }

  function fieldWriter(
    parentType: GraphQLObjectType,
    key: string,
    fieldNodes: FieldNode[],
    isRoot: boolean,
  ): WriteFields {
    const [node] = fieldNodes;
    const member = `${JSON.stringify(key)}:`;
    if (node?.name.value === '__typename') return () => member + JSON.stringify(parentType.name);
    const field = node && parentType.getFields()[node.name.value];
    if (!field) throw new Error(`${key} of ${parentType.name} cannot be compiled`);
    const { name: fieldName, type: returnType, resolve = defaultFieldResolver } = field;
    const write = valueWriter(returnType, fieldNodes);
    const ownArgs = isRoot ? undefined : getArgumentValues(field, node);
    return (source, before, run) => {
      const { contextValue, variableValues } = run;
      const path = { prev: before, key, typename: parentType.name };
      const info = {
        fieldName,
        fieldNodes,
        returnType,
        parentType,
        path,
        schema,
        fragments,
        rootValue: undefined,
        operation,
        variableValues,
      };
      const args = ownArgs ?? run.args.get(key) ?? {};
      const value: unknown = resolve(source, args, contextValue, info);
      return after(value, (found) => after(write(found, path, info, run), (text) => member + text));
    };
  }

  function valueWriter(type: GraphQLOutputType, fieldNodes: FieldNode[]): WriteValue {
    const write = presentWriter(getNullableType(type), fieldNodes);
    return (value, path, info, run) => {
      if (value instanceof Error) throw value;
      if (value !== null && value !== undefined) return write(value, path, info, run);
      if (isNonNullType(type)) throw new Error(`${info.parentType.name}.${info.fieldName} is null`);
      return 'null';
    };
  }

  /** For values that are there. */
  function presentWriter(type: GraphQLOutputType & GraphQLNullableType, fieldNodes: FieldNode[]): WriteValue {
    if (isLeafType(type)) return (value) => leafText(type, value);
    if (isListType(type)) {
      const write = valueWriter(type.ofType, fieldNodes);
      return (values, prev, info, run) => {
        if (typeof values !== 'object') throw new Error(`${info.parentType.name}.${info.fieldName} is no list`);
        return together(
          [...(values as Iterable<unknown>)],
          (value, key) => after(value, (found) => write(found, { prev, key, typename: undefined }, info, run)),
          (entries) => `[${entries.join(',')}]`,
        );
      };
    }
    const selectionSets = fieldNodes.flatMap((node) => node.selectionSet ?? []);
    if (isObjectType(type)) return instanceWriter(type, selectionSets);
    const writers = new Map<string, WriteValue>();
    const resolveType = type.resolveType ?? defaultTypeResolver;
    return (value, path, info, run) =>
      after(resolveType(value, run.contextValue, info, type), (name) => {
        const own = typeof name === 'string' ? schema.getType(name) : undefined;
        if (!isObjectType(own) || !schema.isSubType(type, own)) throw new Error(`it is no ${type.name}`);
        const write = writers.get(own.name) ?? instanceWriter(own, selectionSets);
        writers.set(own.name, write);
        return write(value, path, info, run);
      });
  }

  function instanceWriter(type: GraphQLObjectType, selectionSets: readonly SelectionSetNode[]): WriteValue {
    const write = objectWriter(type, collectFields(type, selectionSets));
    return (value, path, info, run) =>
      after(type.isTypeOf ? type.isTypeOf(value, run.contextValue, info) : true, (isOne) => {
        if (!isOne) throw new Error(`it is no ${type.name}`);
        return write(value, path, run);
      });
  }

  const roots = collectFields(queryType, [selectionSet]);
  const write = objectWriter(queryType, roots, true);

  function argsOf(variableValues: Run['variableValues']): Run['args'] {
    const args = new Map<string, Record<string, unknown>>();
    for (const [key, [node]] of roots) {
      const field = node && queryType.getFields()[node.name.value];
      if (field) args.set(key, getArgumentValues(field, node, variableValues));
    }
    return args;
  }

  return (variables) => {
    const { coerced: variableValues } = getVariableValues(schema, variableDefinitions, variables);
    if (!variableValues) return null;
    try {
      const args = argsOf(variableValues);
      return async (contextValue) => write(undefined, undefined, { contextValue, variableValues, args });
    } catch (error) {
      if (error instanceof GraphQLError) return null; // null for an argument that may not be
      throw error;
    }
  };
}

/** Whether nothing but the arguments of root fields can be another at another execution. */
function isCompilable(document: DocumentNode, { selectionSet }: OperationDefinitionNode): boolean {
  let is = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION).length === 1;
  visit(document, {
    Directive() {
      is = false;
    },
    Field(field) {
      const { value: name } = field.name;
      const isIntrospection = name.startsWith('__') && name !== '__typename';
      if (isIntrospection || (field.arguments?.length && !selectionSet.selections.includes(field))) is = false;
    },
  });
  return is;
}

function leafText(type: GraphQLLeafType, value: unknown): string {
  const serialized = type.serialize(value);
  const text = JSON.stringify(serialized) as string | undefined;
  if (serialized === null || text === undefined) throw new Error(`it is no ${type.name}`);
  return text;
}

/**
 * Writes all parts. What one of them throws rejects like what they await, and not before all have ended: as `execute` does, for whoever
 * begins anew then.
 */
function together<Part>(
  parts: readonly Part[],
  write: (part: Part, place: number) => MaybePromise<string>,
  join: (written: string[]) => string,
): MaybePromise<string> {
  let isAwaited = false;
  const written = parts.map((part, place) => {
    try {
      const text = write(part, place);
      isAwaited ||= typeof text !== 'string';
      return text;
    } catch (error) {
      isAwaited = true;
      return Promise.reject(error);
    }
  });
  if (!isAwaited) return join(written as string[]);
  const awaited = written as PromiseLike<string>[]; // some are texts already, which are awaited alike
  return Promise.all(awaited).then(join, async (error) => {
    await Promise.allSettled(awaited);
    throw error;
  });
}
