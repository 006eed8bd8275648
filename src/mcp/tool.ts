import type { CallToolResult, Tool as ToolDescription, ToolAnnotations } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import type { RequestDeps } from '../connectors/request.ts';
import { DomainError } from '../lib/domain-error.ts';
import type { Caller } from '../workspaces/caller.ts';
import { NotFoundError } from '../workspaces/errors.ts';

/** What a GraphQL operation answered. */
export interface GraphqlAnswer {
  data?: Record<string, unknown> | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** How the person behind the chat can be asked, past the model. Null where their client cannot do it. */
export interface AskPerson {
  /** A choice in the chat's own form; null where the person gave no answer. */
  choose: ((message: string, field: Choice) => Promise<string | null>) | null;
  /** To open a page; false where they would rather not, null where it could not be shown to them. */
  open: ((message: string, url: string, id: string) => Promise<boolean | null>) | null;
}

export interface Choice {
  title: string;
  options: { const: string; title: string }[];
}

/** What a tool works with: everything is done as the caller, by the rules that everybody has. */
export interface ToolContext {
  graphql: (document: string, variables: Record<string, unknown>) => Promise<GraphqlAnswer>;
  features: RequestDeps;
  caller: Caller;
  /** What the assistant calls itself. */
  assistant: string;
  ask: AskPerson;
  /** Notes a bug, which the assistant is told of in a sentence only. */
  onBug: (error: unknown) => void;
}

const failureSchema = z
  .object({
    code: z.string().describe('The same code that GraphQL has: ErrorCode in the schema.'),
    message: z.string().describe('What went wrong, in a sentence for people.'),
    remedy: z
      .object({
        actor: z.string().describe('Who has to act: ADMIN, USER, PROVIDER or OPERATOR.'),
        steps: z.array(z.string()),
        values: z.array(z.object({ label: z.string(), value: z.string() })).describe('Exact values to paste.'),
        docsUrl: z.string().nullable(),
      })
      .nullable()
      .describe('What to do about it.'),
    fields: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .describe('VALIDATION: which values cannot be taken.'),
    requiredPlan: z.string().optional(),
    currentPlan: z.string().optional(),
    retryAfterSeconds: z.number().optional(),
    affectedUsers: z.number().optional().describe('CONFIRMATION_REQUIRED: how many users it concerns.'),
    affectedApps: z.array(z.object({ id: z.string(), name: z.string() })).optional(),
  })
  .describe('Why it was not done.');

type Failure = z.infer<typeof failureSchema>;

/** An expected failure, as GraphQL told it or as a tool has it of its own. */
export class ToolFailure extends Error {
  override readonly name = 'ToolFailure';
  readonly failure: Failure;

  constructor(failure: Pick<Failure, 'code' | 'message'> & Partial<Failure>) {
    super(failure.message);
    this.failure = { remedy: null, ...failure };
  }
}

/** What every union of results brings of its errors. */
const userError = `... on UserError { code message remedy { actor steps values { label value } docsUrl } }
  ... on ValidationError { fields { path message } }
  ... on PlanRequiredError { requiredPlan currentPlan }
  ... on RateLimitedError { retryAfterSeconds }`;

/** The errors of a mutation that may ask for a confirmation. */
const confirmableError = `${userError} ... on ConfirmationRequiredError { affectedUsers affectedApps { id name } }`;

export const errorFields = { plain: userError, confirmable: confirmableError };

/**
 * Runs an operation, and answers its one field.
 * @throws ToolFailure for an error of a result's union, and for one of the operation as a whole
 */
export async function runOperation(
  { graphql }: Pick<ToolContext, 'graphql'>,
  document: string,
  variables: Record<string, unknown>,
): Promise<Record<string, unknown> | null> {
  const { data, errors } = await graphql(document, variables);
  const [error] = errors ?? [];
  if (error) throw new ToolFailure({ code: error.extensions?.code ?? 'VALIDATION', message: error.message });
  const [value] = Object.values(data ?? {}) as (Record<string, unknown> | null)[];
  const failure = value && 'code' in value ? failureSchema.safeParse(value) : null;
  if (failure?.success) throw new ToolFailure(failure.data);
  return value ?? null;
}

/** @throws NotFoundError, as GraphQL's mutations do for an id that the caller may not know of */
export function notFound(what: string): never {
  throw new NotFoundError(what);
}

function failureOf(error: unknown, { onBug }: ToolContext): Failure {
  if (error instanceof ToolFailure) return error.failure;
  if (error instanceof DomainError) return failureSchema.parse(error);
  onBug(error);
  return { code: 'INTERNAL_SERVER_ERROR', message: 'Something went wrong here. Try again.', remedy: null };
}

interface ToolDefinition<Input extends z.ZodRawShape, Output extends z.ZodType> {
  title: string;
  description: string;
  annotations: ToolAnnotations;
  input: Input;
  output: Output;
  run: (args: z.infer<z.ZodObject<Input>>, context: ToolContext) => Promise<z.input<Output>>;
}

export interface Tool {
  /** As the client reads it. */
  description: ToolDescription;
  call: (args: unknown, context: ToolContext) => Promise<CallToolResult>;
}

/**
 * A tool. It answers `result`, or `error` where it was not done: a client checks structured content against the output schema
 * whether it is an error or not, so that the schema has both.
 */
export function defineTool<Input extends z.ZodRawShape, Output extends z.ZodType>(
  name: string,
  { title, description, annotations, input, output, run }: ToolDefinition<Input, Output>,
): Tool {
  const inputSchema = z.strictObject(input);
  const outputSchema = z.object({ result: output.optional(), error: failureSchema.optional() });
  const described = { name, title, description, annotations };
  return {
    description: {
      ...described,
      inputSchema: z.toJSONSchema(inputSchema, { target: 'draft-7', io: 'input' }),
      outputSchema: z.toJSONSchema(outputSchema, { target: 'draft-7' }),
    } as ToolDescription,
    async call(args, context) {
      try {
        const read = inputSchema.safeParse(args);
        if (!read.success) throw wrongArguments(read.error);
        return answer({ result: output.parse(await run(read.data, context)) });
      } catch (error) {
        return failed(failureOf(error, context));
      }
    },
  };
}

/** What is wrong, by the argument it is about; never its value, which may be a secret that does not belong there. */
function wrongArguments({ issues }: z.ZodError): ToolFailure {
  const fields = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'There is no such argument.' }))
      : [{ path: issue.path.join('.'), message: issue.message }],
  );
  return new ToolFailure({
    code: 'VALIDATION',
    message: 'The arguments are not of the shape that the tool takes.',
    fields,
    remedy: {
      actor: 'USER',
      steps: ['Compare the arguments with the inputSchema of the tool in tools/list.', 'Call again.'],
      values: [],
      docsUrl: null,
    },
  });
}

/** The answer to a call of a tool that there is not. */
export function unknownTool(known: string[]): CallToolResult {
  return failed({
    code: 'NOT_FOUND',
    message: 'There is no tool of this name.',
    remedy: { actor: 'USER', steps: [`Call one of these: ${known.join(', ')}.`], values: [], docsUrl: null },
  });
}

const failed = (error: Failure): CallToolResult => ({ ...answer({ error }), isError: true });

const answer = (structuredContent: Record<string, unknown>): CallToolResult => ({
  structuredContent,
  content: [{ type: 'text', text: JSON.stringify(structuredContent) }],
});
