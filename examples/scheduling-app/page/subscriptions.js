/**
 * A small client of the graphql-transport-ws protocol: one WebSocket for all subscriptions of the page. It comes back by
 * itself, a little later each time, and subscribes again; the service then begins with the present state.
 *
 * @param {object} options
 * @param {string} options.url
 * @param {() => Promise<object>} options.connectionParams what travels in connection_init; asked for at every attempt
 * @param {(state: 'connecting' | 'live' | 'waiting' | 'refused', reason?: string) => void} options.onState
 */
export function openSubscriptions({ url, connectionParams, onState }) {
  const wanted = new Map();
  let socket;
  let nextId = 1;
  let failures = 0;
  let timer;
  let acknowledged = false;
  let closed = false;

  const send = (message) => socket.send(JSON.stringify(message));
  const start = (id, { query, variables }) => send({ id, type: 'subscribe', payload: { query, variables } });

  async function connect() {
    onState('connecting');
    const payload = await connectionParams().catch(() => null);
    if (closed) return;
    if (!payload) return retry();

    socket = new WebSocket(url, 'graphql-transport-ws');
    socket.onopen = () => send({ type: 'connection_init', payload });
    socket.onmessage = ({ data }) => receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      acknowledged = false;
      if (closed) return;
      // 4403 is a decision, not an accident. Only an expired identity token is worth another attempt: with a new one.
      if (code === 4403 && reason !== 'identity-token-expired') onState('refused', reason);
      else retry();
    };
  }

  function receive(message) {
    const subscription = wanted.get(message.id);
    switch (message.type) {
      case 'connection_ack':
        acknowledged = true;
        failures = 0;
        onState('live');
        for (const [id, operation] of wanted) start(id, operation);
        break;
      case 'ping':
        send({ type: 'pong' });
        break;
      case 'next':
        if (message.payload.data) subscription?.onData(message.payload.data);
        break;
      case 'error':
        wanted.delete(message.id);
        subscription?.onError(message.payload);
        break;
      case 'complete':
        wanted.delete(message.id);
        break;
    }
  }

  function retry() {
    onState('waiting');
    const longest = Math.min(15_000, 500 * 2 ** failures);
    failures += 1;
    timer = setTimeout(() => void connect(), longest / 2 + (Math.random() * longest) / 2);
  }

  void connect();
  return {
    subscribe(operation) {
      const id = String(nextId++);
      wanted.set(id, operation);
      if (acknowledged) start(id, operation);
      return () => {
        if (wanted.delete(id) && acknowledged) send({ id, type: 'complete' });
      };
    },
    close() {
      closed = true;
      clearTimeout(timer);
      socket?.close(1000);
    },
  };
}
