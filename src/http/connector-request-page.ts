import { requestPath, type RequestView, RequestOverError } from '../connectors/request.ts';
import type { DomainError } from '../lib/domain-error.ts';
import { ValidationError } from '../workspaces/errors.ts';
import { escape, hash, script, style } from './page.ts';

/** The form's own fields. */
export interface Entered {
  name: string;
  kind: string;
  clientId: string;
  clientSecret: string;
}

const formStyle = `${style}
main { max-width: 40rem; }
.mark { color: var(--accent); background: var(--well); }
.failed .mark { color: var(--bad); background: var(--bad-ground); }
.facts { display: grid; gap: .625rem; }
.facts dt { margin: 0 0 .125rem; }
.facts dd { display: block; border: 0; background: none; overflow-wrap: anywhere; }
.facts ul { margin: 0; padding: 0; list-style: none; display: grid; gap: .375rem; }
.facts li { display: block; }
.facts li::before { content: none; }
.facts dd code { padding: 0; }
.facts small { color: var(--soft); font-size: .875rem; }
.faults { border-top: 1px solid var(--line); background: var(--bad-ground); color: var(--bad); }
.faults ul { margin: .5rem 0 0; padding-left: 1.125rem; list-style: disc; }
.faults li { display: list-item; }
.faults li::before { content: none; }
.faults a { color: inherit; }
form { display: grid; gap: 1.125rem; margin-top: 1rem; }
label, legend { font-weight: 600; padding: 0; }
fieldset { border: 0; margin: 0; padding: 0; display: grid; gap: .375rem; min-width: 0; }
.choice { display: grid; grid-template-columns: auto 1fr; gap: .625rem; align-items: start; font-weight: 400; }
.choice input { margin-top: .35rem; }
.hint { color: var(--soft); font-size: .875rem; }
.fault { color: var(--bad); font-size: .875rem; }
.field { display: grid; gap: .3125rem; }
.field input { font: inherit; width: 100%; padding: .5rem .75rem; color: var(--ink); background: var(--card); border: 1px solid var(--soft); border-radius: 8px; }
.field input[aria-invalid=true] { border-color: var(--bad); }
.field input:focus-visible { outline-offset: 1px; }
.acts { display: flex; flex-wrap: wrap; gap: .625rem; }
.acts button { border: 1px solid var(--soft); border-radius: 8px; padding: .75rem 1rem; font-size: .9375rem; }
.acts .main { color: var(--card); background: var(--accent); border-color: var(--accent); }
.acts button:focus-visible { outline-offset: 2px; }
`;

const policy = `default-src 'none'; style-src ${hash(formStyle)}; script-src ${hash(script)}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;

// the form's own POST has to say where it comes from, which `no-referrer` would keep it from; no other site is told
const headers = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': policy,
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'X-Robots-Tag': 'noindex',
};

const key = '<path d="M14.5 9.5a4 4 0 1 0-3.7 3.99L13 15.7V18h2.3l.7.7V21h3v-3l-4.9-4.9a4 4 0 0 0 .4-3.6z"/>';
const exclamation = '<path d="M12 6.5v7"/><path d="M12 17.5v.01"/>';
const tick = '<path d="M5 12.5l4.5 4.5L19 7.5"/>';

const kinds = {
  APP_USER: ['Each user’s own account', 'Every person who uses an app connects an account of their own.'],
  SHARED: ['One shared account', 'A member connects one account, which everyone in an app uses.'],
} as const;

/** The form of a request that waits. A secret that was entered is never shown again. */
export function formPage(
  view: RequestView,
  token: string,
  refused: { entered: Entered; error: DomainError } | null,
): Response {
  const { current, proposal, providerName } = view;
  const proposedName = proposal.input.name ?? current?.name ?? '';
  const proposedKind = proposal.type === 'add' ? proposal.input.kind : '';
  const entered = refused?.entered ?? { name: proposedName, kind: proposedKind, clientId: '', clientSecret: '' };
  const faults = faultsOf(refused?.error ?? null);
  const title = current ? `Change the connector ${current.name}?` : `Add a connector for ${providerName}?`;
  const field = (name: 'name' | 'clientId' | 'clientSecret', label: string, hint: string, attributes: string) => {
    const fault = faults.find(({ id }) => id === name);
    const describedBy = [hint && `${name}-hint`, fault && `${name}-fault`].filter(Boolean).join(' ');
    const value = name === 'clientSecret' ? '' : ` value="${escape(entered[name])}"`;
    return `<div class="field">
        <label for="${name}">${escape(label)}</label>
        ${hint && `<p class="hint" id="${name}-hint">${escape(hint)}</p>`}
        <input id="${name}" name="${name}"${value} ${attributes} spellcheck="false"${describedBy && ` aria-describedby="${describedBy}"`}${fault ? ' aria-invalid="true"' : ''}>
        ${fault ? `<p class="fault" id="${name}-fault">${escape(fault.message)}</p>` : ''}
      </div>`;
  };
  const body = `<section>
      <h2>What is asked for</h2>
      <dl class="facts">${[
        fact('Workspace', escape(view.workspace)),
        fact(
          'Asked by',
          `${escape(view.requestedBy)}, through an assistant that calls itself “${escape(view.assistant)}”`,
        ),
        fact('Provider', escape(providerName)),
        ...(view.destination
          ? [fact('The client secret will be sent to', `<code>${escape(view.destination)}</code>`)]
          : []),
        ...settingsOf(view),
        fact(current ? 'Permissions (scopes) from now on' : 'Permissions (scopes)', scopesOf(view)),
      ].join('')}</dl>
    </section>
    ${stepsOf(view)}
    <section>
      <h2>Redirect URIs to register at the provider</h2>
      <dl>${view.redirectUris
        .map((uri) => `<dd><code>${escape(uri)}</code></dd>`)
        .join('')
        .replace('<dd>', '<dt>Letter by letter</dt><dd>')}</dl>
    </section>
    <section>
      <h2>${current ? 'What to change' : 'What to add'}</h2>
      <form method="post" action="${requestPath}">
        <input type="hidden" name="token" value="${escape(token)}">
        ${field('name', 'Name', 'What your team will know the connector by.', 'required maxlength="100" autocomplete="off"')}
        ${current ? '' : kindChoice(entered.kind)}
        ${field('clientId', 'Client id', clientHint(view), 'autocomplete="off"')}
        ${field('clientSecret', 'Client secret', 'It is stored encrypted, is never shown again, and does not reach the chat.', 'type="password" autocomplete="off"')}
        <div class="acts">
          <button class="main" name="decision" value="approve">${current ? 'Approve the change' : 'Approve and add'}</button>
          <button name="decision" value="reject" formnovalidate>Reject</button>
          <button name="decision" value="later" formnovalidate>Later</button>
        </div>
        <p class="hint">Later keeps this link for a day. Rejecting ends it.</p>
      </form>
    </section>`;
  const html = page(
    { status: refused?.error.code ?? 'OPEN', title, kicker: 'An assistant asks', mark: key, failed: false },
    `${refused ? faultsSection(refused.error, faults) : ''}${body}
    <footer>This link works once, until <time datetime="${view.expiresAt.toISOString()}">${view.expiresAt.toISOString().slice(0, 16).replace('T', ' ')} UTC</time>. Did you not ask an assistant for this? Reject it.</footer>`,
  );
  return new Response(html, { status: refused ? 422 : 200, headers });
}

const fact = (term: string, html: string) => `<div><dt>${term}</dt><dd>${html}</dd></div>`;

function settingsOf({ proposal }: RequestView): string[] {
  return (proposal.input.connectionConfig ?? []).map(({ name, value }) =>
    fact(escape(name), `<code>${escape(value)}</code>`),
  );
}

function scopesOf({ scopes }: RequestView): string {
  if (scopes.length === 0) return 'None';
  const items = scopes.map(
    ({ scope, description }) =>
      `<li><code>${escape(scope)}</code>${description ? `<br><small>${escape(description)}</small>` : ''}</li>`,
  );
  return `<ul role="list">${items.join('')}</ul>`;
}

function stepsOf({ setupSteps, docsUrl, providerName, current }: RequestView): string {
  if (setupSteps.length === 0 || current) return '';
  return `<section>
      <h2>Where to get the client id and secret</h2>
      <ol role="list">${setupSteps.map((step) => `<li>${escape(step)}</li>`).join('')}</ol>
      ${docsUrl ? `<p class="more"><a href="${escape(docsUrl)}" rel="noreferrer" target="_blank">Documentation of ${escape(providerName)} (opens a new tab)</a></p>` : ''}
    </section>`;
}

function clientHint({ current, hasOperatorClient }: RequestView): string {
  if (current) return 'Leave it blank to keep the present one. Another client asks every user to connect again.';
  return hasOperatorClient
    ? 'For one shared account, both may stay blank: the operator of this service has a client.'
    : '';
}

function kindChoice(chosen: string): string {
  const choices = Object.entries(kinds).map(
    ([
      value,
      [label, hint],
    ]) => `<label class="choice"><input type="radio" name="kind" value="${value}" required${chosen === value ? ' checked' : ''}>
          <span>${label}<br><span class="hint">${hint}</span></span></label>`,
  );
  return `<fieldset id="kind"><legend>Whose account is connected?</legend>${choices.join('')}</fieldset>`;
}

/** What is wrong, by the field it is about; the others are about the request as a whole. */
function faultsOf(error: DomainError | null): { id: string | null; message: string }[] {
  if (!error) return [];
  if (!(error instanceof ValidationError)) return [{ id: null, message: error.message }];
  return error.fields.map(({ path, message }) => {
    const id = path.split('.')[1] ?? '';
    return { id: ['name', 'kind', 'clientId', 'clientSecret'].includes(id) ? id : null, message };
  });
}

function faultsSection(error: DomainError, faults: { id: string | null; message: string }[]): string {
  const items = faults.map(({ id, message }) =>
    id ? `<li><a href="#${id}">${escape(message)}</a></li>` : `<li>${escape(message)}</li>`,
  );
  const steps = (error.remedy?.steps ?? []).map((step) => `<li>${escape(step)}</li>`);
  return `<section class="faults" role="alert">
      <h2>Nothing was saved</h2>
      <ul>${[...items, ...steps].join('')}</ul>
    </section>`;
}

const outcomes = {
  approved: [
    'It is done',
    'The connector is set up, and ready in every app of the workspace. Go back to the chat.',
    tick,
  ],
  rejected: ['Rejected', 'Nothing was added or changed. The assistant will be told when it asks.', key],
  postponed: ['Later', 'Nothing was added or changed. The same link works until a day after it was made.', key],
} as const;

/** How it ended; or why there is nothing to decide. */
export function outcomePage(outcome: keyof typeof outcomes | DomainError): Response {
  if (typeof outcome === 'string') {
    const [title, sentence, mark] = outcomes[outcome];
    const look = { status: outcome.toUpperCase(), title, kicker: '', mark, failed: false };
    return new Response(page(look, `<section><p>${sentence}</p></section>`), { headers });
  }
  const isOver = outcome instanceof RequestOverError;
  const steps = (outcome.remedy?.steps ?? []).map((step) => `<li>${escape(step)}</li>`);
  const todo = steps.length > 0 ? `<section><h2>What to do</h2><ol role="list">${steps.join('')}</ol></section>` : '';
  const title = isOver ? 'There is nothing to decide here' : 'This cannot be approved now';
  const look = {
    status: isOver ? (outcome.status ?? 'UNKNOWN') : outcome.code,
    title,
    kicker: '',
    mark: exclamation,
    failed: true,
  };
  const html = page(
    look,
    `<section><p>${escape(outcome.message)}</p></section>${todo}<footer>Error code <code>${escape(outcome.code)}</code></footer>`,
  );
  return new Response(html, { status: isOver ? 404 : 403, headers });
}

interface Look {
  status: string;
  title: string;
  kicker: string;
  mark: string;
  failed: boolean;
}

function page({ status, title, kicker, mark, failed }: Look, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escape(title)}</title>
  <style>${formStyle}</style>
</head>
<body data-status="${escape(status)}">
  <main${failed ? ' class="failed"' : ''} data-copy="Copy" data-copied="Copied">
    <div class="top">
      <div class="mark" aria-hidden="true"><svg viewBox="0 0 24 24">${mark}</svg></div>
      <div>
        ${kicker && `<p class="kicker">${kicker}</p>`}
        <h1>${escape(title)}</h1>
      </div>
    </div>
    ${body}
  </main>
  <script>${script}</script>
</body>
</html>
`;
}
