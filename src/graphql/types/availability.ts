import { idOf } from '../../lib/global-id.ts';
import { type Availability, setProviderAvailability } from '../../workspaces/availability.ts';
import { builder, confirmable } from '../builder.ts';
import { ConnectorKind } from './enums.ts';
import { Provider, providerOf } from './provider.ts';
import { Workspace } from './workspace.ts';

const ProviderAvailability = builder.objectRef<Availability>('ProviderAvailability').implement({
  description: 'Whether a provider can be used in a workspace, for one kind of connector.',
  fields: (t) => ({
    provider: t.field({
      type: Provider,
      description: 'The provider.',
      resolve: ({ providerKey }) => providerOf(providerKey),
    }),
    kind: t.expose('kind', { type: ConnectorKind, description: 'Whose accounts it is about.' }),
    available: t.boolean({
      description: 'Whether its connectors can be added, connected and read.',
      resolve: ({ switchedOffAt }) => switchedOffAt === null,
    }),
    switchedOffAt: t.expose('switchedOffAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was switched off; null where it is on.',
    }),
  }),
});

builder.prismaObjectField(Workspace, 'availability', (t) =>
  t.field({
    type: [ProviderAvailability],
    description: 'What is switched off in the workspace; everything else is on. It stays off on a lower plan.',
    select: { switchedOff: { orderBy: [{ providerKey: 'asc' }, { kind: 'asc' }] } },
    resolve: ({ switchedOff }) =>
      switchedOff.map(({ providerKey, kind, createdAt }) => ({ providerKey, kind, switchedOffAt: createdAt })),
  }),
);

const SetProviderAvailabilityInput = builder.inputType('SetProviderAvailabilityInput', {
  description: 'A provider to switch on or off in a workspace, for one kind of connector.',
  fields: (t) => ({
    workspaceId: t.id({ description: 'The workspace.' }),
    providerKey: t.string({ description: 'A key from `providers`, or "custom".' }),
    kind: t.field({ type: ConnectorKind, description: 'Whose accounts: those of users, or those that apps share.' }),
    available: t.boolean({ description: 'Whether it can be used from now on.' }),
    confirm: t.boolean({
      defaultValue: false,
      description: 'Without it, switching off answers who would be blocked. Switching on needs none.',
    }),
  }),
});

const SetProviderAvailabilityPayload = builder
  .objectRef<{ workspaceId: string; availability: Availability }>('SetProviderAvailabilityPayload')
  .implement({
    description: 'The provider is on or off, in every app of the workspace. Nothing was deleted.',
    fields: (t) => ({
      workspace: t.prismaField({
        type: Workspace,
        description: 'The workspace.',
        resolve: (query, { workspaceId }, _args, { features }) =>
          features.db.workspace.findUniqueOrThrow({ ...query, where: { id: workspaceId } }),
      }),
      availability: t.expose('availability', { type: ProviderAvailability, description: 'What is so from now on.' }),
    }),
  });

builder.mutationField('setProviderAvailability', (t) =>
  t.field({
    type: SetProviderAvailabilityPayload,
    errors: confirmable,
    description:
      'Switches a provider off in a workspace, once confirmed, for one kind of connector: nothing of it can be added, connected or read. On again restores everything. OWNER and ADMIN; switching off needs ENTERPRISE, lifting what is off does not.',
    args: { input: t.arg({ type: SetProviderAvailabilityInput, description: 'What to switch.' }) },
    resolve: async (_root, { input }, { caller, features }) => {
      const workspaceId = idOf('Workspace', input.workspaceId) ?? '';
      return { workspaceId, availability: await setProviderAvailability(features, caller, { ...input, workspaceId }) };
    },
  }),
);
