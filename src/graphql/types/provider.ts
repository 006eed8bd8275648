import { CUSTOM_PROVIDER_KEY, findProvider, searchProviders } from '../../providers/catalogue.ts';
import type { Provider as CatalogueEntry, ProviderConfigField as ConfigField } from '../../providers/provider.ts';
import { hasOperatorClients } from '../../connectors/operator-client.ts';
import { batched } from '../batch.ts';
import { builder } from '../builder.ts';

type Shown = Omit<CatalogueEntry, 'server' | 'sources' | 'refreshTokenIdleDays'>;

const custom: Shown = {
  key: CUSTOM_PROVIDER_KEY,
  name: 'Custom provider',
  description: 'Any OAuth 2.0 provider that is not in the catalogue, by its issuer or its endpoints.',
  scopes: [],
  exampleUses: ["An identity provider or API of the workspace's own."],
  setupSteps: [
    'Add the connector without client id and secret.',
    "Register an OAuth app at the provider with the connector's redirect URIs.",
    'Enter the client id and client secret with editConnector.',
  ],
  docsUrl: 'https://www.rfc-editor.org/rfc/rfc6749',
  configFields: [],
};

/** The catalogue entry of a connector, or what stands for a custom one. */
export function providerOf(key: string): Shown {
  return findProvider(key) ?? custom;
}

const ProviderScope = builder.objectRef<{ scope: string; description: string }>('ProviderScope').implement({
  description: 'A scope that is often asked for.',
  fields: (t) => ({
    scope: t.exposeString('scope', { description: "The provider's own string." }),
    description: t.exposeString('description', { description: 'What it allows.' }),
  }),
});

const ProviderConfigField = builder.objectRef<ConfigField>('ProviderConfigField').implement({
  description: 'A setting that the provider needs beyond client id, client secret and scopes.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name in connectionConfig.' }),
    description: t.exposeString('description', { description: 'What it is, and where to find it.' }),
    required: t.exposeBoolean('required', { description: 'Whether the connector works only with it.' }),
    pattern: t.exposeString('pattern', { description: 'A regular expression that the value matches.' }),
    errorText: t.exposeString('errorText', { description: 'What to tell whoever enters something else.' }),
  }),
});

export const Provider = builder.objectRef<Shown>('Provider').implement({
  description: 'A third party that accounts can be connected at.',
  fields: (t) => ({
    key: t.exposeString('key', { description: 'Names the provider in addConnector.' }),
    name: t.exposeString('name', { description: "The provider's name, for people." }),
    description: t.exposeString('description', { description: 'What the provider is for.' }),
    scopes: t.field({
      type: [ProviderScope],
      description: 'Scopes that are often asked for.',
      resolve: ({ scopes }) => [...scopes],
    }),
    exampleUses: t.stringList({ description: 'What apps use it for.', resolve: ({ exampleUses }) => [...exampleUses] }),
    setupSteps: t.stringList({
      description: 'How to get a client id and secret at the provider, one act a step.',
      resolve: ({ setupSteps }) => [...setupSteps],
    }),
    docsUrl: t.expose('docsUrl', { type: 'URL', description: "The provider's own documentation." }),
    operatorClient: t.boolean({
      nullable: true,
      description:
        'Whether the operator has an OAuth client there: a SHARED connector then needs none of its own. For members; null for everybody else.',
      resolve: ({ key }, _args, context) => {
        const { caller, features } = context;
        if (caller.kind !== 'member' && caller.kind !== 'operator') return null;
        return batched(context, 'operatorClient', (keys: readonly string[]) => hasOperatorClients(features, keys)).load(
          key,
        );
      },
    }),
    configFields: t.field({
      type: [ProviderConfigField],
      description: 'The settings it needs in connectionConfig.',
      resolve: ({ configFields }) => [...configFields],
    }),
  }),
});

builder.queryField('providers', (t) =>
  t.field({
    type: [Provider],
    description: 'The catalogue, by name. `custom` stands for every provider that is not in it.',
    args: {
      search: t.arg.string({ required: false, description: 'Words to look for in key, name, description and scopes.' }),
    },
    resolve: (_root, { search }) => (search?.trim() ? searchProviders(search) : [...searchProviders(null), custom]),
  }),
);
