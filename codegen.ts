import type { CodegenConfig } from '@graphql-codegen/cli';

// Types every graphql(`…`) of the client library, the example and the tests against the committed schema.
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['src/client/**/*.ts', 'examples/**/*.ts', 'test/**/*.ts', '!src/client/generated/**'],
  ignoreNoDocuments: true,
  importExtension: '.ts',
  errorsOnly: true,
  generates: {
    'src/client/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false, skipIndexFile: true },
      config: {
        // Documents stay plain strings, so that the client library needs no GraphQL package at run time.
        documentMode: 'string',
        useTypeImports: true,
        enumsAsTypes: true,
        strictScalars: true,
        defaultScalarType: 'unknown',
        scalars: { DateTime: 'string', URL: 'string', JSON: 'unknown' },
      },
    },
  },
};

export default config;
