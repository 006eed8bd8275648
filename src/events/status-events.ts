/** What a change concerns: one connection, all of a connector, or all of a workspace. Ids only, never data. */
export type StatusTopic = { connectionId: string } | { connectorId: string } | { workspaceId: string };

/** Tells of changes. Publish after the commit; the subscriber reads again with its own rights. */
export interface StatusEvents {
  publish(topic: StatusTopic): void;
  subscribe(topics: StatusTopic[]): StatusSubscription;
  /** Changes may have been missed: every reader is to read again, and to tell what it finds. */
  recover(): void;
  /** Ends every subscription: the service stops, and its readers are to come back elsewhere. */
  close(): void;
}

/** Why a wait ended. `recovered`: changes may have been missed meanwhile. */
export type Wake = 'changed' | 'recovered' | 'closed';

/** Wakes its one reader. However many changes come between two waits, one wake-up stands for all: a slow reader costs nothing. */
export interface StatusSubscription {
  /** Settles as soon as something has happened since the last call. */
  next(): Promise<Wake>;
  /** Ends a wait as a change does. A reader that has waited long enough calls this: a wait given up would swallow the next change. */
  wake(): void;
  close(): void;
}

/** How many are woken at a turn of the event loop: each goes on at once as far as it can. */
const wokenPerTurn = 200;

const name = (topic: StatusTopic) => Object.entries(topic).flat().join(':');

/** Events within this process. */
export function createStatusEvents(): StatusEvents {
  // thousands may listen to one topic, and leave together: an EventEmitter would look each of them up in a list
  const listeners = new Map<string, Set<() => void>>();
  const subscriptions = new Set<StatusSubscription & { recover(): void }>();
  return {
    publish: (topic) => wakeInTurns([...(listeners.get(name(topic)) ?? [])]),
    subscribe(topics) {
      let pending: Wake | null = null;
      let resume: (() => void) | null = null;
      const happen = (what: Wake) => {
        // what ends outlasts what was missed, which outlasts what changed
        if (pending !== 'closed' && !(pending === 'recovered' && what === 'changed')) pending = what;
        resume?.();
      };
      const onEvent = () => happen('changed');
      const names = topics.map(name);
      for (const topic of names) listeners.set(topic, (listeners.get(topic) ?? new Set()).add(onEvent));
      const subscription = {
        async next() {
          if (!pending) {
            await new Promise<void>((resolve) => {
              resume = resolve;
            });
            resume = null;
          }
          const what = pending ?? 'changed';
          if (what !== 'closed') pending = null;
          return what;
        },
        wake: onEvent,
        recover: () => happen('recovered'),
        close() {
          subscriptions.delete(subscription);
          for (const topic of names) {
            const others = listeners.get(topic);
            others?.delete(onEvent);
            if (others?.size === 0) listeners.delete(topic);
          }
          happen('closed');
        },
      };
      subscriptions.add(subscription);
      return subscription;
    },
    recover() {
      for (const subscription of subscriptions) subscription.recover();
    },
    close() {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}

function wakeInTurns(listeners: readonly (() => void)[]): void {
  for (const listener of listeners.slice(0, wokenPerTurn)) listener();
  if (listeners.length > wokenPerTurn) setImmediate(wakeInTurns, listeners.slice(wokenPerTurn));
}
