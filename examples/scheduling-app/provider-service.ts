/** What a local provider is a provider of: a calendar, or a task list. */
export interface ProviderService {
  /** Begins the names of its cookies, which do not know ports, and the client ids it gives out. */
  key: string;
  /** What its pages call it. */
  title: string;
  /** The colour of its pages, in light and in dark. */
  accent: readonly [light: string, dark: string];
  accounts: readonly ProviderAccount[];
  /** What each scope allows, in the words of the consent page. `openid` is not a choice: without it there is no account. */
  scopes: Readonly<Record<string, string>>;
  api: {
    /** `GET` with an access token of the scope answers `{ account, [resource]: … }`. */
    path: string;
    resource: string;
    scope: string;
    itemsOf: (accountId: string, now: Date) => object[];
  };
}

export interface ProviderAccount {
  id: string;
  name: string;
  email: string;
  /** Of the dot beside its name. */
  colour: string;
}

/** What every OpenID provider knows. */
export const COMMON_SCOPES = {
  openid: 'Know which account this is',
  email: 'See your e-mail address',
  profile: 'See your name',
  offline_access: 'Keep access while you are away',
} as const;

/** An hour of the day that comes so many days after this one. */
export function onDay(now: Date, daysAhead: number, hour: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + daysAhead, hour);
}
