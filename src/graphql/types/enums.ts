import type {
  ConnectBinding as ConnectBindings,
  ConnectorKind as ConnectorKinds,
  OriginKind as OriginKinds,
  Plan as Plans,
  WorkspaceRole as WorkspaceRoles,
} from '../../db/generated/prisma/enums.ts';
import { builder } from '../builder.ts';

export const Plan = builder.enumType('Plan', {
  description: 'What a workspace pays for, from the least to the most.',
  values: {
    FREE: { description: 'No connectors.' },
    STARTER: { description: 'No connectors.' },
    BUILDER: { description: 'Connectors.' },
    PRO: { description: 'Connectors.' },
    ELITE: { description: 'Connectors.' },
    ENTERPRISE: { description: 'Connectors, and switching providers on and off.' },
  } satisfies Record<keyof typeof Plans, { description: string }>,
});

export const WorkspaceRole = builder.enumType('WorkspaceRole', {
  description: 'What a member or a workspace key may do.',
  values: {
    OWNER: { description: 'Everything, making owners included.' },
    ADMIN: { description: 'Registers connectors; manages apps, keys and members.' },
    EDITOR: { description: 'Looks, and connects shared accounts.' },
    VIEWER: { description: 'Only looks.' },
  } satisfies Record<keyof typeof WorkspaceRoles, { description: string }>,
});

export const ConnectorKind = builder.enumType('ConnectorKind', {
  description: 'Whose account a connector connects.',
  values: {
    APP_USER: { description: "Each app user's own account." },
    SHARED: { description: 'One account for everyone in an app.' },
  } satisfies Record<keyof typeof ConnectorKinds, { description: string }>,
});

export const OriginKind = builder.enumType('OriginKind', {
  description: 'What an origin of an app is for.',
  values: {
    LIVE: { description: 'Where the app lives; at most one.' },
    CUSTOM: { description: 'A domain of the workspace; any number.' },
    PREVIEW: { description: 'Where a version of the app is tried out; any number.' },
    SERVICE: { description: "This service's own public URL, always there." },
  } satisfies Record<keyof typeof OriginKinds, { description: string }>,
});

export const ConnectBinding = builder.enumType('ConnectBinding', {
  description: 'How the person who comes back from the provider is recognised as the one who began.',
  values: {
    COOKIE: { description: 'By a cookie of the browser that began: the callback finishes at once.' },
    CODE: {
      description: "The callback comes back with a `connect_code`, which the app's page hands to completeConnection.",
    },
  } satisfies Record<keyof typeof ConnectBindings, { description: string }>,
});

export const ConnectionStatus = builder.enumType('ConnectionStatus', {
  description: 'What a connection is at this instant.',
  values: {
    NOT_CONNECTED: { description: 'No account is connected.' },
    CONNECTED: { description: 'An account is connected and usable.' },
    RECONNECT_REQUIRED: { description: 'The user must consent again; `reconnectReason` says why.' },
    UNAVAILABLE: {
      description: 'The connector is deleted, incomplete or disabled, or the plan is too low; `problem` says which.',
    },
  } as const,
});

export const ReconnectReason = builder.enumType('ReconnectReason', {
  description: 'Why a user must consent again.',
  values: {
    SCOPES_CHANGED: {
      description: 'The connector asks for other scopes than the user allowed. Putting them back heals it.',
    },
    CREDENTIALS_CHANGED: {
      description:
        "The connector's client or endpoints changed, and the grant belongs to the old ones. Putting them back heals it.",
    },
    ACCESS_REVOKED: {
      description: 'The provider refuses the grant for good, or an admin has revoked it with revokeAllConnections.',
    },
    GRANT_EXPIRED: { description: 'It expired, and the provider gave nothing to refresh it with.' },
  } as const,
});

export const ClientAuthentication = builder.enumType('ClientAuthentication', {
  description: "How the client proves itself at the provider's token endpoint.",
  values: {
    CLIENT_SECRET_POST: { description: 'Client id and secret in the request body.' },
    CLIENT_SECRET_BASIC: { description: 'HTTP Basic, id and secret form-encoded first (RFC 6749 2.3.1).' },
    CLIENT_SECRET_BASIC_RAW: {
      description: 'HTTP Basic with id and secret as they are: many real servers take only this.',
    },
    NONE: { description: 'A public client: no secret.' },
  } as const,
});
