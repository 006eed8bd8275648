import { getIntrospectionQuery, GraphQLError, stripIgnoredCharacters } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import * as libraryOperations from '../client/operations.ts';
import { type Remedy, remedy } from '../lib/domain-error.ts';
import { sha256Hex } from '../lib/secret.ts';
import { consoleQuestion, consoleTasks } from './console-tasks.ts';

/** What names a document: its text, or the key that it has in the file (`documentId`, or Apollo's and Yoga's `persistedQuery`). */
export interface AskedDocument {
  query?: unknown;
  documentId?: unknown;
  extensions?: unknown;
}

/** The documents that the service answers, where it does not answer any. */
export interface TrustedDocuments {
  has(text: string): boolean;
  /** The text of the document that is asked for. @throws GraphQLError where it is none of them. */
  textOf(asked: AskedDocument): string;
}

/**
 * Those of a file, and the project's own: of the client library in this version, and of the console, whose editor reads the schema
 * as well. Assistants' tools write their own and come through no door but /mcp.
 */
export function trustDocuments(given: ReadonlyMap<string, string>): TrustedDocuments {
  const own = [...Object.values(libraryOperations), consoleQuestion, ...consoleTasks.map(({ query }) => query)];
  const known = [...given.values(), ...own, ...introspections];
  // editors and build tools send a document without its comments and white space
  const texts = new Set(known.flatMap((text) => [text, strip(text)]));
  const has = (text: string) => texts.has(text) || texts.has(strip(text));
  return {
    has,
    textOf(asked) {
      const { query } = asked;
      if (typeof query === 'string' && query !== '') {
        if (has(query)) return query;
        throw notTrusted('The document', { label: 'SHA-256 of the document', value: sha256Hex(query) });
      }
      const id = idOf(asked);
      const text = id === null ? undefined : (given.get(id) ?? given.get(id.replace(/^\w+:/, '')));
      if (text !== undefined) return text;
      throw notTrusted('What is asked for', { label: 'Id of the document', value: (id ?? 'none').slice(0, 200) });
    },
  };
}

/** What an editor asks of a schema before anything else: GraphiQL's question, and the GraphQL package's own. */
const introspections = [
  getIntrospectionQuery(),
  getIntrospectionQuery({ schemaDescription: true, inputValueDeprecation: true }),
];

/** Without what has no meaning in it. A text that is no document is left as it is: it fails when it is parsed. */
function strip(text: string): string {
  try {
    return stripIgnoredCharacters(text);
  } catch {
    return text;
  }
}

function idOf({ documentId, extensions }: AskedDocument): string | null {
  if (typeof documentId === 'string') return documentId;
  const { persistedQuery } = (extensions ?? {}) as { persistedQuery?: { sha256Hash?: unknown } | null };
  const hash = persistedQuery?.sha256Hash;
  return typeof hash === 'string' ? hash : null;
}

function notTrusted(what: string, value: Remedy['values'][0]): GraphQLError {
  const steps = [
    'Write the documents of the app into a file of their hashes and texts, as GraphQL Code Generator does with `persistedDocuments`.',
    'Name that file in TRUSTED_DOCUMENTS, and start the service again.',
    'Send one of its documents, letter by letter, or its hash as `documentId` or `extensions.persistedQuery.sha256Hash`.',
  ];
  return new GraphQLError(`${what} is not one of the trusted documents, and this service answers no other.`, {
    extensions: { code: 'DOCUMENT_NOT_TRUSTED', remedy: { ...remedy('OPERATOR', ...steps), values: [value] } },
  });
}

/** Lets no other document in over HTTP, but those of this service's own tools for assistants. */
export function trustOnly(documents: TrustedDocuments): Plugin {
  return {
    onParams({ params, setParams, context }) {
      if ((context as { assistant?: string }).assistant !== undefined) return;
      const query = documents.textOf(params as AskedDocument);
      setParams({ ...params, query });
    },
  };
}
