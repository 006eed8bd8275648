import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Logger } from '../lib/logger.ts';
import type { Secret } from '../lib/secret.ts';
import type { StatusEvents, StatusTopic } from './status-events.ts';

/** Events that every instance on the same Redis hears. */
export interface SharedStatusEvents extends StatusEvents {
  /** Settles when Redis answers, and tells this instance what the others say. */
  ping(): Promise<null>;
  disconnect: () => void;
}

/** What travels. `topic` null: changes were published that Redis never got, so everybody reads again. */
interface Message {
  from: string;
  topic: StatusTopic | null;
}

const heartbeatMs = 10_000;
const answerMs = 5_000;

/**
 * Shares events over Redis. This instance's own readers hear at once, Redis or not. While it is gone the others hear nothing;
 * when it is back, whoever may have missed something reads again: an instance that could not listen, and, told by the one that
 * could not publish, all of them.
 */
export function shareStatusEvents(
  local: StatusEvents,
  deps: { url: Secret; publicUrl: string; log: Logger },
): SharedStatusEvents {
  // One channel for all: it is subscribed to when the service starts, so that no stream waits for Redis between subscribing and
  // reading, and a message costs next to nothing where nobody reads it. Another service on the same Redis has another public URL.
  const channel = `app-user-connectors:${deps.publicUrl}:status`;
  const from = randomUUID();
  let unpublished = false;
  let isListening = false;
  const options = {
    connectTimeout: answerMs,
    commandTimeout: answerMs,
    retryStrategy: (attempts: number) => Math.min(100 * 2 ** attempts, 2_000) * (0.5 + Math.random() / 2),
  };
  // what cannot be published now is told of later in one message: a queue would grow for as long as Redis is gone
  const publisher = new Redis(deps.url.reveal(), { ...options, enableOfflineQueue: false });
  // it subscribes by itself, below, so that it knows from when on it hears
  const listener = new Redis(deps.url.reveal(), { ...options, enableOfflineQueue: false, autoResubscribe: false });
  const clients = { publisher, listener };

  function send(topic: StatusTopic | null): void {
    const message: Message = { from, topic };
    publisher.publish(channel, JSON.stringify(message)).catch(() => {
      unpublished = true;
    });
  }

  function tellOfUnpublished(): void {
    if (!unpublished) return;
    unpublished = false;
    send(null);
  }

  for (const [role, client] of Object.entries(clients)) {
    client.on('error', (err: Error) => deps.log.warn({ err, role }, 'Redis cannot be reached; it is tried again'));
  }
  publisher.on('ready', tellOfUnpublished);
  async function listen(): Promise<void> {
    try {
      await listener.subscribe(channel);
      isListening = true;
      local.recover();
    } catch (err) {
      deps.log.error({ err }, 'Redis does not let this instance listen: other instances are not heard');
    }
  }
  listener.on('ready', () => void listen());
  listener.on('close', () => {
    isListening = false;
  });
  listener.on('message', (_channel, text) => {
    const message = readMessage(text);
    if (!message || message.from === from) return;
    if (message.topic) local.publish(message.topic);
    else local.recover();
  });

  const heartbeat = setInterval(() => {
    tellOfUnpublished();
    if (!isListening && listener.status === 'ready') void listen();
    for (const client of Object.values(clients)) {
      // a connection that was dropped in silence on the way looks open for ever
      if (client.status === 'ready') client.ping().catch(() => client.disconnect(true));
    }
  }, heartbeatMs);

  return {
    ...local,
    publish(topic) {
      local.publish(topic);
      send(topic);
    },
    async ping() {
      if (!isListening) throw new Error('this instance does not hear the others');
      await publisher.ping();
      return null;
    },
    disconnect() {
      clearInterval(heartbeat);
      for (const client of Object.values(clients)) client.disconnect();
    },
  };
}

/** A client that counts: where Redis does not answer at once, it fails at once. The events' client tells the operator of that. */
export function openCounting(url: Secret): Redis {
  const client = new Redis(url.reveal(), {
    connectTimeout: answerMs,
    commandTimeout: 1_000,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
  });
  client.on('error', () => {});
  return client;
}

/** Whatever else is on the channel is not ours. */
function readMessage(text: string): Message | null {
  try {
    const value = JSON.parse(text) as Partial<Message> | null;
    return typeof value?.from === 'string' && typeof value.topic === 'object' ? (value as Message) : null;
  } catch {
    return null;
  }
}
