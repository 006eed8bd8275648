import { readFileSync } from 'node:fs';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createWatchStatus } from '../../src/connections/status.ts';
import { createFindForStatus } from '../../src/connections/store.ts';
import { openDatabase } from '../../src/db/client.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createStatusEvents, type StatusEvents } from '../../src/events/status-events.ts';
import type { Caller } from '../../src/workspaces/caller.ts';
import { createTestApp, startService } from '../support/harness.ts';
import { connectByCookie, disconnectAppUser } from '../support/journey.ts';
import {
  connectUser,
  deleteConnector,
  editConnector,
  expiredMs,
  readAs,
  type Scene,
  setPlan,
  setScene,
} from '../support/scene.ts';
import { listen, openSse, openWebSocket } from '../support/streams.ts';
import { dropFromTokenAnswers } from '../support/token-endpoint.ts';

const scopes = ['openid', 'email', 'calendar.read'];

async function open(transport: 'WebSocket' | 'SSE', scene: Scene, headers: Record<string, string>, id: string) {
  const { ws, http } = await listening(scene);
  return transport === 'WebSocket' ? openWebSocket(ws, headers, id) : openSse(http, headers, id);
}

const addresses = new WeakMap<Scene, ReturnType<typeof listen>>();

/** A service listens once, however many streams are opened. */
function listening(scene: Scene): ReturnType<typeof listen> {
  const known = addresses.get(scene) ?? listen(scene.service);
  addresses.set(scene, known);
  return known;
}

const disconnect = async ({ service, app, connector }: Scene, userId: string) =>
  disconnectAppUser(service, await app.user(userId), connector.id);

describe.each(['WebSocket', 'SSE'] as const)('over %s', (transport) => {
  test('38. connectionStatus tells the present status at once, then every change with its reason or problem', async () => {
    const scene = await setScene(await startService());
    const { service, app, connector } = scene;
    const stream = await open(transport, scene, await app.user('one'), connector.id);

    const first = await stream.next();
    expect(first).toMatchObject({
      connectorId: connector.id,
      status: 'NOT_CONNECTED',
      reconnectReason: null,
      problem: null,
      missingScopes: [],
      at: expect.any(String),
    });
    const steps: [act: () => Promise<unknown>, event: Record<string, unknown>][] = [
      [() => connectUser(scene, 'one'), { status: 'CONNECTED' }],
      [
        () => editConnector(scene, { scopes: [...scopes, 'calendar.write'] }),
        { status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED', missingScopes: ['calendar.write'] },
      ],
      [() => editConnector(scene, { scopes }), { status: 'CONNECTED', reconnectReason: null, missingScopes: [] }],
      [
        () => editConnector(scene, { clientId: 'another-client' }),
        { status: 'RECONNECT_REQUIRED', reconnectReason: 'CREDENTIALS_CHANGED' },
      ],
      [() => editConnector(scene, { clientId: connector.clientId }), { status: 'CONNECTED' }],
      [
        () => setPlan(scene, 'FREE'),
        {
          status: 'UNAVAILABLE',
          problem: { __typename: 'PlanRequiredError', code: 'PLAN_REQUIRED', currentPlan: 'FREE' },
        },
      ],
      [() => setPlan(scene, 'PRO'), { status: 'CONNECTED', problem: null }],
      [
        async () => {
          scene.provider.revokeGrant(scene.provider.grants()[0]?.id ?? '');
          service.clock.advance(expiredMs);
          await readAs(scene, 'one');
        },
        { status: 'RECONNECT_REQUIRED', reconnectReason: 'ACCESS_REVOKED' },
      ],
      [() => connectUser(scene, 'one'), { status: 'CONNECTED', reconnectReason: null }],
      [() => disconnect(scene, 'one'), { status: 'NOT_CONNECTED' }],
      [
        () => deleteConnector(scene),
        { status: 'UNAVAILABLE', problem: { __typename: 'NotFoundError', code: 'NOT_FOUND' } },
      ],
    ];
    for (const [act, event] of steps) {
      await act();
      expect(await stream.next()).toMatchObject({ connection: first.connection, ...event });
    }
    await stream.stop();
  });

  test('38. an unknown connector, and one of another workspace, are told alike: UNAVAILABLE with NOT_FOUND', async () => {
    const scene = await setScene(await startService());
    const foreign = await setScene(scene.service);
    const unknownId = `Connector_${crypto.randomUUID()}`;
    const told = [];
    for (const id of [unknownId, foreign.connector.id]) {
      const stream = await open(transport, scene, await scene.app.user('one'), id);
      const { at: _, connectorId, ...event } = await stream.next();
      expect(connectorId).toBe(id);
      told.push(event);
      await stream.stop();
    }
    expect(told[0]).toEqual({
      status: 'UNAVAILABLE',
      reconnectReason: null,
      missingScopes: [],
      problem: { __typename: 'NotFoundError', code: 'NOT_FOUND' },
      connection: null,
    });
    expect(told[1]).toEqual(told[0]);
  });

  test('38. a client that was away learns the truth when it subscribes again', async () => {
    const scene = await setScene(await startService());
    const { app, connector } = scene;
    const before = await open(transport, scene, await app.user('one'), connector.id);
    expect(await before.next()).toMatchObject({ status: 'NOT_CONNECTED' });
    await before.stop();

    await connectUser(scene, 'one');
    await editConnector(scene, { scopes: [...scopes, 'calendar.write'] });
    const after = await open(transport, scene, await app.user('one'), connector.id);
    expect(await after.next()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'SCOPES_CHANGED' });
    await editConnector(scene, { scopes });
    expect(await after.next()).toMatchObject({ status: 'CONNECTED' });
  });

  test('40. a stream ends when its identity token expires, and the last event says so', async () => {
    const scene = await setScene(await startService());
    const { app, connector } = scene;
    const headers = {
      authorization: `Bearer ${await app.identityToken('one', { expiresIn: 2 })}`,
      'x-app-id': app.id,
    };
    const stream = await open(transport, scene, headers, connector.id);
    expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });

    const last = await stream.nextResult();
    expect(last?.data ?? null).toBeNull();
    expect(last?.errors).toMatchObject([
      {
        message: 'identity-token-expired',
        extensions: { code: 'UNAUTHENTICATED', closeCode: 4403, reason: 'identity-token-expired' },
      },
    ]);
    await connectUser(scene, 'one'); // which nobody is told any more
    expect(await stream.nextResult()).toBeUndefined();
    if (transport === 'WebSocket') {
      expect(await stream.closed).toMatchObject({ code: 4403, reason: 'identity-token-expired' });
    }
  });

  test('41. changes of another user, of another app and of another workspace are not heard', async () => {
    const scene = await setScene(await startService());
    const { service, workspace, app, connector } = scene;
    const otherApp = await createTestApp(service, workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
    const foreign = await setScene(service);
    await connectUser(scene, 'one');
    const stream = await open(transport, scene, await app.user('one'), connector.id);
    expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });

    const others = await open(transport, scene, await app.user('two'), connector.id);
    expect(await others.next()).toMatchObject({ status: 'NOT_CONNECTED' });
    await connectUser(scene, 'two', 'green');
    expect(await others.next()).toMatchObject({ status: 'CONNECTED' });
    await disconnect(scene, 'two');
    expect(await others.next()).toMatchObject({ status: 'NOT_CONNECTED' });
    await connectUser(foreign, 'one');
    await setPlan(foreign, 'FREE');
    await editConnector(scene, { name: 'Another name' });
    scene.provider.allowRedirectUris(
      [`https://other.example.com/api/external-auth/callback/${connector.id}`],
      connector.clientId,
    );
    await connectByCookie(service, await otherApp.browser('one'), connector.id);

    // the next event is the next change of their own, and nothing came in between
    await disconnect(scene, 'one');
    expect(await stream.next()).toMatchObject({ status: 'NOT_CONNECTED' });
  });
});

test('38. a grant that ends by itself is told when it ends', async () => {
  const scene = await setScene(await startService());
  scene.provider.setAccessTokenSeconds(2);
  dropFromTokenAnswers(scene.provider, 'refresh_token');
  await connectUser(scene, 'one');
  const stream = await open('WebSocket', scene, await scene.app.user('one'), scene.connector.id);
  expect(await stream.next()).toMatchObject({ status: 'CONNECTED' });
  expect(await stream.next()).toMatchObject({ status: 'RECONNECT_REQUIRED', reconnectReason: 'GRANT_EXPIRED' });
});

describe('who may open a socket', () => {
  /** Says connection_init over a plain socket, and answers how that ended. */
  function greet(url: string, origin: string | null, payload: Record<string, unknown>) {
    return new Promise<{ refused: number } | { closed: number; reason: string } | 'accepted'>((resolve, reject) => {
      const socket = new WebSocket(url, 'graphql-transport-ws', origin === null ? {} : { origin });
      socket.on('unexpected-response', (_request, response) => {
        resolve({ refused: response.statusCode ?? 0 });
        socket.terminate();
      });
      socket.on('error', reject);
      socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload })));
      socket.on('close', (closed, reason) => resolve({ closed, reason: reason.toString() }));
      socket.on('message', (data: Buffer) => {
        if (!data.toString().includes('connection_ack')) return;
        resolve('accepted');
        socket.terminate();
      });
    });
  }

  test("T15. a foreign Origin is refused at the upgrade, another app's after connection_init, and one's own is let in", async () => {
    const service = await startService();
    const scene = await setScene(service);
    const { ws } = await listen(service);
    await createTestApp(service, scene.workspace, [{ kind: 'LIVE', origin: 'https://other.example.com' }]);
    const user = await scene.app.user('one');

    expect(await greet(ws, 'https://foreign.example.com', user)).toEqual({ refused: 403 });
    expect(await greet(ws, 'null', user)).toEqual({ refused: 403 });
    expect(await greet(ws, 'https://other.example.com', user)).toMatchObject({ closed: 4403 });
    expect(await greet(ws, scene.app.origin, user)).toBe('accepted');
    expect(await greet(ws, service.config.publicUrl, user)).toBe('accepted');
    expect(await greet(ws, null, user)).toBe('accepted');
    // the payload says who calls, never from where
    expect(await greet(ws, 'https://other.example.com', { ...user, origin: scene.app.origin })).toMatchObject({
      closed: 4403,
    });
  });

  test('5. a socket without a valid credential is closed with 4403, whatever the letter case of the names', async () => {
    const service = await startService();
    const { app } = await setScene(service);
    const { ws } = await listen(service);
    const authorization = `Bearer ${await app.identityToken('one')}`;
    const backend = { AUTHORIZATION: `Bearer ${app.key}`, 'on-behalf-OF': authorization };

    expect(await greet(ws, null, { Authorization: authorization, 'X-App-Id': app.id })).toBe('accepted');
    expect(await greet(ws, null, backend)).toBe('accepted');
    for (const payload of [{}, { Authorization: authorization }, { ...backend, AUTHORIZATION: 'Bearer apk_unknown' }]) {
      expect(await greet(ws, null, payload)).toMatchObject({ closed: 4403 });
    }
    const expired = `Bearer ${await app.identityToken('one', { expiresIn: -1 })}`;
    expect(await greet(ws, null, { Authorization: expired, 'X-App-Id': app.id })).toEqual({
      closed: 4403,
      reason: 'identity-token-expired',
    });
  });
});

describe('listeners', () => {
  /** Events of which a test can tell how many listen. */
  function countedEvents(): StatusEvents & { open: () => number } {
    const events = createStatusEvents();
    let count = 0;
    return {
      ...events,
      open: () => count,
      subscribe(topics) {
        const subscription = events.subscribe(topics);
        count += 1;
        let isOpen = true;
        return {
          next: (withinMs) => subscription.next(withinMs),
          close() {
            if (isOpen) count -= 1;
            isOpen = false;
            subscription.close();
          },
        };
      },
    };
  }

  async function start(expiresAt: Date) {
    const snapshot = new Blob([readFileSync(inject('databaseSnapshot'))]);
    const { db, runPrepared, close } = await openDatabase({ databaseUrl: null, dataDir: null, snapshot });
    onTestFinished(close);
    const events = countedEvents();
    const app = { id: 'app', workspaceId: 'workspace', name: 'App', origins: [] };
    const findForStatus = createFindForStatus(runPrepared);
    const watch = createWatchStatus({ db, findForStatus, clock: systemClock, events, log: createLogger('silent') });
    const watchAs = (userId: string) => {
      const caller: Caller = { kind: 'app-user', app, userId, expiresAt };
      return watch(caller, async () => caller, 'connector');
    };
    return { db, events, watchAs, stream: watchAs('one') };
  }

  const inAnHour = () => new Date(Date.now() + 3_600_000);

  test('38. whoever stops listening is let go at once, also while waiting, and leaves no listener', async () => {
    const { events, stream } = await start(inAnHour());
    expect(events.open()).toBe(1);
    expect(await stream.next()).toMatchObject({ done: false, value: { view: null } });
    const waiting = stream.next();
    await stream.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(events.open()).toBe(0);
  });

  test('38. a stream that was never read leaves no listener', async () => {
    const { events, stream } = await start(inAnHour());
    await stream.return?.();
    expect(events.open()).toBe(0);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test('T16. an instance holds at most 50,000 streams of all callers; what ends makes room for anybody', async () => {
    const { events, watchAs, stream } = await start(inAnHour());
    for (let number = 1; number < 50_000; number += 1) watchAs(`user ${number % 100}`);
    expect(() => watchAs('two')).toThrow('more of all than this service holds');
    expect(events.open()).toBe(50_000);
    await stream.return?.();
    expect(await watchAs('two').next()).toMatchObject({ done: false, value: { view: null } });
    expect(() => watchAs('one')).toThrow('more of all than this service holds');
  });

  test('40. a stream that ended with its identity token leaves no listener', async () => {
    const { events, stream } = await start(new Date(Date.now() - 1));
    expect(await stream.next()).toEqual({ done: false, value: 'identity-token-expired' });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(events.open()).toBe(0);
  });

  test('38. a stream that failed leaves no listener', async () => {
    const { db, events, stream } = await start(inAnHour());
    await db.$executeRaw`DROP TABLE connection CASCADE`;
    await expect(stream.next()).rejects.toThrow('connection');
    expect(events.open()).toBe(0);
  });
});

describe('events', () => {
  test('38. any number of changes before a wait are one wake-up, and none is lost', async () => {
    const events = createStatusEvents();
    const subscription = events.subscribe([{ connectionId: 'c' }, { connectorId: 'k' }]);
    events.publish({ connectionId: 'other' });
    events.publish({ connectorId: 'c' }); // the same id in another role
    const waiting = subscription.next();
    const outcome = await Promise.race([waiting, Promise.resolve('waits')]);
    expect(outcome).toBe('waits');

    events.publish({ connectorId: 'k' });
    events.publish({ connectionId: 'c' });
    expect(await waiting).toBe('changed');
    const second = subscription.next();
    expect(await Promise.race([second, new Promise((resolve) => setImmediate(resolve, 'waits'))])).toBe('waits');
    events.publish({ connectionId: 'c' });
    expect(await second).toBe('changed');
    events.publish({ connectionId: 'c' });
    events.publish({ connectionId: 'c' });
    expect(await subscription.next()).toBe('changed');
    const again = subscription.next();
    subscription.close();
    expect(await again).toBe('closed');
    expect(await subscription.next()).toBe('closed');
  });

  test('39. a reader that may have missed changes is told so, however many changes come as well', async () => {
    const events = createStatusEvents();
    const subscription = events.subscribe([{ connectionId: 'c' }]);
    events.recover();
    events.publish({ connectionId: 'c' });
    expect(await subscription.next()).toBe('recovered');
    events.publish({ connectionId: 'c' });
    events.recover();
    expect(await subscription.next()).toBe('recovered');
    subscription.close();
  });

  test('38. a wait ends in its time, and a change after it is not lost', async () => {
    const events = createStatusEvents();
    const subscription = events.subscribe([{ connectionId: 'c' }]);
    expect(await subscription.next(1)).toBe('changed');
    events.publish({ connectionId: 'c' });
    expect(await subscription.next()).toBe('changed');
    subscription.close();
  });
});
