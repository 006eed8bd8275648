import { builder } from '../builder.ts';
import { OriginKind } from './enums.ts';

export const RedirectUri = builder
  .objectRef<{ kind: typeof OriginKind.$inferType; uri: string }>('RedirectUri')
  .implement({
    description: "A redirect URI to paste into the provider's settings.",
    fields: (t) => ({
      kind: t.expose('kind', { type: OriginKind, description: 'The kind of origin it is for.' }),
      uri: t.exposeString('uri', { description: 'The URI, letter by letter.' }),
    }),
  });
