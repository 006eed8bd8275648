import type { CodegenConfig } from '@graphql-codegen/cli';

// Types the operations of the client library against the committed schema.
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['src/client/operations.ts'],
  importExtension: '.ts',
  errorsOnly: true,
  generates: {
    // Types and nothing else: the operations stay plain strings, so that the library needs no GraphQL package to send them,
    // and its declarations name no package that whoever installs it would have to have.
    'src/client/generated/operations.ts': {
      plugins: ['typescript-operations'],
      config: {
        useTypeImports: true,
        enumType: 'string-literal',
        strictScalars: true,
        immutableTypes: true,
        mergeFragmentTypes: true,
        defaultScalarType: 'unknown',
        scalars: { DateTime: 'string', URL: 'string', JSON: 'unknown' },
      },
    },
  },
};

export default config;
