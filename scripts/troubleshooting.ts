/**
 * Writes docs/troubleshooting/ from the table of failures that the service itself speaks from.
 *
 *     tsx scripts/troubleshooting.ts            writes the pages
 *     tsx scripts/troubleshooting.ts --check    exits 1 when a page is not what the table says
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Failure, type FailureName, failures, valueLabels } from '../src/failures/failures.ts';
import type { RemedyActor } from '../src/lib/domain-error.ts';

const folder = fileURLToPath(new URL('../docs/troubleshooting/', import.meta.url));
const pictures = new URL('../docs/images/troubleshooting/', import.meta.url);
const actors: Record<RemedyActor, string> = {
  ADMIN: 'an OWNER or ADMIN of the workspace',
  USER: 'the person using the app',
  PROVIDER: 'the provider; nobody else can do anything but wait',
  OPERATOR: 'whoever runs this service',
};
const note = '<!-- Written by `npm run troubleshooting` from src/failures/failures.ts: edit it there. -->';
const names = Object.keys(failures) as FailureName[];

const fileOf = (name: FailureName) => `${name.toLowerCase().replaceAll('_', '-')}.md`;
const fill = (text: string) =>
  text
    .replaceAll('{retryAfterSeconds}', 'so many')
    .replaceAll('{enterClient}', "editConnector, or with setOperatorClient where the client is the operator's");
const numbered = (steps: readonly string[]) => steps.map((step, index) => `${index + 1}. ${fill(step)}`).join('\n');

/** Where the browser comes back, the page that it gets to see. */
function pictureOf(name: FailureName): string {
  const file = fileOf(name).replace('.md', '.png');
  const alt = `The callback's page: ${failures[name].title}`;
  return existsSync(new URL(file, pictures)) ? `\n![${alt}](../images/troubleshooting/${file})\n` : '';
}

function page(name: FailureName): string {
  const { title, code, sentence, when, actor, isOfClient, steps, values }: Failure = failures[name];
  const operator = isOfClient ? `; where the connector uses the operator's client, ${actors.OPERATOR}` : '';
  const pasted = values.map((value) => `\`${valueLabels[value]}\``).join(', ');
  return `${note}

# ${title}

> ${fill(sentence)}

Code \`${code}\`. Who has to act: ${actors[actor]}${operator}.

## When it happens

${when}

## What to do

${numbered(steps)}
${pictureOf(name)}${pasted && `\nThe exact values come with the failure, as far as they are known where it happens: ${pasted}.\n`}
[All failures](README.md)
`;
}

const rows = names.map((name) => {
  const { title, code, actor, isOfClient }: Failure = failures[name];
  return `| [${title}](${fileOf(name)}) | \`${code}\` | ${actor}${isOfClient ? ' (OPERATOR for its own client)' : ''} |`;
});
const index = `${note}

# Troubleshooting

What can go wrong while a connector is set up or an account is connected, who has to act, and what to do. Every failure says the
same in the API (\`message\`, and \`remedy\` with its \`actor\`, \`steps\` and \`values\`) and on the page where the browser ends when
there is no page of the app to go back to:

![The callback's page after a refused client: what happened, the steps, and the client id to compare](../images/callback-invalid-client.png)

To find most of them before any user does, call \`checkConnector\`. It tells whether the provider's addresses answer, whether the
provider accepts the client, and which redirect URIs to register.

| Failure | Code | Who acts |
| --- | --- | --- |
${rows.join('\n')}
`;

const pages = new Map([['README.md', index], ...names.map((name) => [fileOf(name), page(name)] as const)]);
const there = existsSync(folder) ? readdirSync(folder) : [];
const stale = [...pages].filter(
  ([file, text]) => !there.includes(file) || readFileSync(folder + file, 'utf8') !== text,
);
const left = there.filter((file) => !pages.has(file));

if (!process.argv.includes('--check')) {
  mkdirSync(folder, { recursive: true });
  for (const file of left) rmSync(folder + file);
  for (const [file, text] of pages) writeFileSync(folder + file, text);
} else if (stale.length > 0 || left.length > 0) {
  const files = [...stale.map(([file]) => file), ...left].join(', ');
  console.error(
    `docs/troubleshooting/ is not what src/failures/failures.ts says (${files}): run \`npm run troubleshooting\`.`,
  );
  process.exitCode = 1;
}
