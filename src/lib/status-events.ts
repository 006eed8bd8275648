import { EventEmitter } from 'node:events';

/** What a change concerns: one connection, all of a connector, or all of a workspace. Ids only, never data. */
export type StatusTopic = { connectionId: string } | { connectorId: string } | { workspaceId: string };

/** Tells of changes. Publish after the commit; the subscriber reads again with its own rights. */
export interface StatusEvents {
  publish(topic: StatusTopic): void;
  subscribe(topics: StatusTopic[]): StatusSubscription;
  /** Ends every subscription: the service stops, and its readers are to come back elsewhere. */
  close(): void;
}

/** Wakes its one reader. However many changes come between two waits, one wake-up stands for all: a slow reader costs nothing. */
export interface StatusSubscription {
  /** True as soon as something has changed since the last call; false once closed. */
  changed(): Promise<boolean>;
  /** Ends a wait as a change does. A reader that has waited long enough calls this: a wait given up would swallow the next change. */
  wake(): void;
  close(): void;
}

const name = (topic: StatusTopic) => Object.entries(topic).flat().join(':');

/** Events within this process. */
export function createStatusEvents(): StatusEvents {
  const emitter = new EventEmitter().setMaxListeners(0);
  const open = new Set<StatusSubscription>();
  return {
    publish: (topic) => {
      emitter.emit(name(topic));
    },
    subscribe(topics) {
      let pending = false;
      let closed = false;
      let wake: (() => void) | null = null;
      const onEvent = () => {
        pending = true;
        wake?.();
      };
      const names = topics.map(name);
      for (const topic of names) emitter.on(topic, onEvent);
      const subscription: StatusSubscription = {
        async changed() {
          if (!pending && !closed) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
          pending = false;
          wake = null;
          return !closed;
        },
        wake: onEvent,
        close() {
          closed = true;
          open.delete(subscription);
          for (const topic of names) emitter.off(topic, onEvent);
          wake?.();
        },
      };
      open.add(subscription);
      return subscription;
    },
    close() {
      for (const subscription of open) subscription.close();
    },
  };
}
