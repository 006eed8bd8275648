import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, type ElicitResult } from '@modelcontextprotocol/sdk/types.js';
import { onTestFinished } from 'vitest';
import type { Overrides } from '../../src/app.ts';
import { createWorkspace, startService, type TestWorkspace } from './harness.ts';
import { freePort } from './ports.ts';

/** A service that listens. Without Redis: then it is the only instance, and can ask in the chat. */
export async function startListening(env: Record<string, string> = {}, overrides: Overrides = {}) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const service = await startService({ PORT: String(port), PUBLIC_URL: url, REDIS_URL: '', ...env }, overrides);
  await service.app.listen();
  return { service, url };
}

/** A question that the person behind a chat was asked, past the model. */
export interface Question {
  mode?: string;
  message: string;
  url?: string;
}

export interface ChatOptions {
  /** How the person answers; without it the client can ask them nothing. */
  answer?: (question: Question) => ElicitResult | Promise<ElicitResult>;
  name?: string;
  /** How a request is sent, where not over the network. */
  send?: (request: Request) => Promise<Response>;
}

export interface ToolAnswer {
  result?: Record<string, unknown>;
  error?: {
    code: string;
    message: string;
    remedy: { steps: string[]; values: { value: string }[] } | null;
    [fact: string]: unknown;
  };
}

/** A chat: the SDK's own client, over HTTP. Everything that goes to and fro is in `transcript`. */
export async function openChat(
  url: string,
  key: string,
  { answer, name = 'test-chat', send = fetch }: ChatOptions = {},
) {
  const transcript: string[] = [];
  const asked: Question[] = [];
  const readings: Promise<unknown>[] = [];
  const elicitation = answer ? { elicitation: { form: {}, url: {} } } : {};
  const client = new Client({ name, version: '1' }, { capabilities: elicitation });
  if (answer) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      asked.push(params as Question);
      return answer(params as Question);
    });
  }
  const transport = new StreamableHTTPClientTransport(new URL('/mcp', url), {
    requestInit: { headers: { authorization: `Bearer ${key}` } },
    async fetch(input, init) {
      if (typeof init?.body === 'string') transcript.push(init.body);
      const response = await send(new Request(input, init));
      readings.push(
        response
          .clone()
          .text()
          .then((text) => transcript.push(text)),
      );
      return response;
    },
  });
  // the SDK's own class is not written for exactOptionalPropertyTypes
  await client.connect(transport as Parameters<Client['connect']>[0]);
  onTestFinished(() => client.close());
  return {
    client,
    transport,
    asked,
    async transcript() {
      await Promise.all(readings);
      return transcript.join('\n');
    },
    async call(tool: string, args: Record<string, unknown> = {}): Promise<ToolAnswer> {
      const { structuredContent, content, isError } = await client.callTool({ name: tool, arguments: args });
      if (!structuredContent) throw new Error(JSON.stringify(content));
      const answered = structuredContent as ToolAnswer;
      if (Boolean(isError) !== (answered.error !== undefined)) throw new Error('an error that says it is none');
      return answered;
    },
  };
}

/** The result of a tool; fails with the error. */
export function resultOf<T = Record<string, unknown>>({ result, error }: ToolAnswer): T {
  if (!result) throw new Error(JSON.stringify(error));
  return result as T;
}

/** A chat of a workspace's owner. */
export async function openOwnersChat(options: ChatOptions = {}, env: Record<string, string> = {}) {
  const { service, url } = await startListening(env);
  const workspace: TestWorkspace = await createWorkspace(service);
  return { service, url, workspace, chat: await openChat(url, workspace.ownerKey, options) };
}

export interface ConnectorRequestAnswer {
  status: string;
  connector?: { id: string; isSetUp: boolean };
  request?: { requestId: string; link: string };
}

/** Sends the form as its page does. */
export function sendForm(url: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  return fetch(`${url}/connector-request`, {
    method: 'POST',
    headers: { origin: url, 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields),
  });
}
