import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';

export interface Message {
  id?: string;
  type: string;
  payload?: unknown;
}

export interface RawSocket {
  socket: WebSocket;
  say: (message: unknown) => void;
  /** The next message of that type that nobody has taken. */
  hear: (type: string) => Promise<Message>;
  closed: Promise<{ code: number; reason: string }>;
}

/** A plain WebSocket that speaks as a test lets it, mistakes and all. */
export async function openRawSocket(
  url: string,
  options: ClientOptions = {},
  protocol: string | string[] = 'graphql-transport-ws',
): Promise<RawSocket> {
  const socket = new WebSocket(url, protocol, options);
  const heard: Message[] = [];
  let wake = () => {};
  socket.on('message', (data: Buffer) => {
    heard.push(JSON.parse(data.toString()) as Message);
    wake();
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => {
      resolve({ code, reason: reason.toString() });
      wake();
    });
  });
  onTestFinished(() => socket.terminate());
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    closed,
    say: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    async hear(type) {
      for (;;) {
        const at = heard.findIndex((message) => message.type === type);
        const [message] = at < 0 ? [] : heard.splice(at, 1);
        if (message) return message;
        if (socket.readyState !== WebSocket.OPEN) throw new Error(`closed before ${type}: ${JSON.stringify(heard)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
