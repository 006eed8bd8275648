import { builder } from '../builder.ts';

export const ConnectionConfigEntry = builder
  .objectRef<{ name: string; value: string }>('ConnectionConfigEntry')
  .implement({
    description: 'A further setting that a provider needs or tells, such as a subdomain or an API address.',
    fields: (t) => ({
      name: t.exposeString('name', { description: "The setting's name, as the catalogue declares it." }),
      value: t.exposeString('value', { description: 'Its value.' }),
    }),
  });

export const ConnectionConfigEntryInput = builder.inputType('ConnectionConfigEntryInput', {
  description: 'A name with a value.',
  fields: (t) => ({
    name: t.string({ description: 'The name.' }),
    value: t.string({ description: 'The value.' }),
  }),
});
