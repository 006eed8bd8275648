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
  /** Settles as soon as something has happened since the last call, or where so many milliseconds have passed, which counts as a change. */
  next(withinMs?: number): Promise<Wake>;
  close(): void;
}

/** How many are woken at a turn of the event loop: each goes on at once as far as it can. */
const wokenPerTurn = 200;

const name = (topic: StatusTopic) => Object.entries(topic).flat().join(':');

/** Events within this process. */
export function createStatusEvents(): StatusEvents {
  // thousands may listen to one topic, and leave together: an EventEmitter would look each of them up in a list
  const listeners = new Map<string, Set<Subscription>>();
  const subscriptions = new Set<Subscription>();
  function leave(subscription: Subscription): void {
    subscriptions.delete(subscription);
    for (const topic of subscription.topics) {
      const others = listeners.get(topic);
      others?.delete(subscription);
      if (others?.size === 0) listeners.delete(topic);
    }
  }
  return {
    publish: (topic) => wakeInTurns([...(listeners.get(name(topic)) ?? [])]),
    subscribe(topics) {
      const subscription = new Subscription(topics.map(name), leave);
      subscriptions.add(subscription);
      for (const topic of subscription.topics) {
        listeners.set(topic, (listeners.get(topic) ?? new Set()).add(subscription));
      }
      return subscription;
    },
    recover() {
      for (const subscription of subscriptions) subscription.happen('recovered');
    },
    close() {
      for (const subscription of subscriptions) subscription.close();
    },
  };
}

/** There may be tens of thousands, most of them waiting: each is one object, a promise and a timer. */
class Subscription implements StatusSubscription {
  readonly topics: readonly string[];
  readonly #leave: (subscription: Subscription) => void;
  #pending: Wake | null = null;
  #resume: ((wake: Wake) => void) | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(topics: readonly string[], leave: (subscription: Subscription) => void) {
    this.topics = topics;
    this.#leave = leave;
  }

  next(withinMs?: number): Promise<Wake> {
    return new Promise((resolve) => {
      this.#resume = resolve;
      if (this.#pending) this.#wake();
      else if (withinMs !== undefined) this.#timer = setTimeout(change, withinMs, this);
    });
  }

  happen(what: Wake): void {
    // what ends outlasts what was missed, which outlasts what changed
    if (this.#pending !== 'closed' && !(this.#pending === 'recovered' && what === 'changed')) this.#pending = what;
    this.#wake();
  }

  close(): void {
    this.#leave(this);
    this.happen('closed');
  }

  #wake(): void {
    const resume = this.#resume;
    if (!resume) return;
    this.#resume = null;
    clearTimeout(this.#timer);
    // whatever else happens at this moment is told along with it
    queueMicrotask(() => {
      const what = this.#pending ?? 'changed';
      if (what !== 'closed') this.#pending = null;
      resume(what);
    });
  }
}

function change(subscription: Subscription): void {
  subscription.happen('changed');
}

function wakeInTurns(listeners: readonly Subscription[]): void {
  listeners.slice(0, wokenPerTurn).forEach(change);
  if (listeners.length > wokenPerTurn) setImmediate(wakeInTurns, listeners.slice(wokenPerTurn));
}
