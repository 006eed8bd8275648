import type { Adapter, AdapterPayload } from 'oidc-provider';

interface Entry {
  payload: AdapterPayload;
  expiresAt: number;
}

export interface MemoryStore {
  /** What oidc-provider calls, once per kind of record. */
  adapter: (model: string) => Adapter;
  /** Live records of one kind, oldest first. */
  list: (model: string) => { id: string; payload: AdapterPayload }[];
  put: (model: string, id: string, payload: AdapterPayload) => void;
  get: (model: string, id: string) => AdapterPayload | undefined;
  /** Forgets a grant and everything issued under it. */
  revokeGrant: (grantId: string) => boolean;
}

/** Storage for oidc-provider in this process's memory. The one it brings keeps a thousand records and drops the rest. */
export function createMemoryStore(): MemoryStore {
  const models = new Map<string, Map<string, Entry>>();
  let sweepAt = Date.now() + 60_000;

  const entriesOf = (model: string): Map<string, Entry> => {
    const known = models.get(model);
    if (known) return known;
    const created = new Map<string, Entry>();
    models.set(model, created);
    return created;
  };

  const get = (model: string, id: string): AdapterPayload | undefined => {
    const entry = entriesOf(model).get(id);
    return entry && entry.expiresAt > Date.now() ? entry.payload : undefined;
  };

  const find = (model: string, matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined => {
    for (const { payload, expiresAt } of entriesOf(model).values()) {
      if (expiresAt > Date.now() && matches(payload)) return payload;
    }
    return undefined;
  };

  const sweep = (): void => {
    if (Date.now() < sweepAt) return;
    sweepAt = Date.now() + 60_000;
    for (const entries of models.values()) {
      for (const [id, entry] of entries) if (entry.expiresAt <= Date.now()) entries.delete(id);
    }
  };

  const forgetIssuedUnder = (model: string, grantId: string): void => {
    for (const [id, { payload }] of entriesOf(model)) {
      if (payload.grantId === grantId) entriesOf(model).delete(id);
    }
  };

  const adapter = (model: string): Adapter => ({
    async upsert(id, payload, expiresIn) {
      sweep();
      const expiresAt = expiresIn === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresIn * 1000;
      entriesOf(model).set(id, { payload, expiresAt });
    },
    find: async (id) => get(model, id),
    findByUid: async (uid) => find(model, (payload) => payload.uid === uid),
    findByUserCode: async (userCode) => find(model, (payload) => payload.userCode === userCode),
    async consume(id) {
      const payload = get(model, id);
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    },
    async destroy(id) {
      entriesOf(model).delete(id);
    },
    revokeByGrantId: async (grantId) => forgetIssuedUnder(model, grantId),
  });

  return {
    adapter,
    list: (model) =>
      [...entriesOf(model)]
        .filter(([, entry]) => entry.expiresAt > Date.now())
        .map(([id, { payload }]) => ({ id, payload })),
    put: (model, id, payload) => entriesOf(model).set(id, { payload, expiresAt: Number.POSITIVE_INFINITY }),
    get,
    revokeGrant(grantId) {
      for (const model of ['AccessToken', 'RefreshToken', 'AuthorizationCode']) forgetIssuedUnder(model, grantId);
      return entriesOf('Grant').delete(grantId);
    },
  };
}
