import { requestPath, type RequestView, RequestOverError } from '../connectors/request.ts';
import { type Language, tellIn } from '../failures/tell.ts';
import type { DomainError } from '../lib/domain-error.ts';
import { ForbiddenError, PlanRequiredError, ValidationError } from '../workspaces/errors.ts';
import { callbackWords } from './callback-words.ts';
import { type FieldName, requestWords } from './connector-request-words.ts';
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

/** A form that was sent and refused. */
export interface Refused {
  entered: Entered;
  error: DomainError;
}

/** The form of a request that waits. A secret that was entered is never shown again. */
export function formPage(view: RequestView, token: string, refused: Refused | null, language: Language): Response {
  const { current, proposal } = view;
  const words = requestWords[language];
  const proposedName = proposal.input.name ?? current?.name ?? '';
  const proposedKind = proposal.type === 'add' ? proposal.input.kind : '';
  const entered = refused?.entered ?? { name: proposedName, kind: proposedKind, clientId: '', clientSecret: '' };
  const faults = refused ? faultsOf(refused.error, language) : [];
  const title = current ? words.changeTitle(current.name) : words.addTitle(view.provider?.name ?? words.ownProvider);
  const field = (name: 'name' | 'clientId' | 'clientSecret', hint: string, attributes: string) => {
    const fault = faults.find(({ id }) => id === name);
    const describedBy = [hint && `${name}-hint`, fault && `${name}-fault`].filter(Boolean).join(' ');
    const value = name === 'clientSecret' ? '' : ` value="${escape(entered[name])}"`;
    return `<div class="field">
        <label for="${name}">${escape(words[name])}</label>
        ${hint && `<p class="hint" id="${name}-hint">${escape(hint)}</p>`}
        <input id="${name}" name="${name}"${value} ${attributes} spellcheck="false"${describedBy && ` aria-describedby="${describedBy}"`}${fault ? ' aria-invalid="true"' : ''}>
        ${fault ? `<p class="fault" id="${name}-fault">${escape(fault.message)}</p>` : ''}
      </div>`;
  };
  const body = `<section>
      <h2>${escape(words.askedFor)}</h2>
      <dl class="facts">${factsOf(view, language).join('')}</dl>
    </section>
    ${stepsOf(view, language)}
    <section>
      <h2>${escape(words.redirectUris)}</h2>
      <dl><dt>${escape(words.letterByLetter)}</dt>${view.redirectUris
        .map((uri) => `<dd><code>${escape(uri)}</code></dd>`)
        .join('')}</dl>
    </section>
    <section>
      <h2>${escape(current ? words.whatToChange : words.whatToAdd)}</h2>
      <form method="post" action="${requestPath}">
        <input type="hidden" name="token" value="${escape(token)}">
        ${field('name', words.nameHint, 'required maxlength="100" autocomplete="off"')}
        ${current ? '' : kindChoice(entered.kind, language)}
        ${field('clientId', clientHint(view, language), 'autocomplete="off"')}
        ${field('clientSecret', words.clientSecretHint, 'type="password" autocomplete="off"')}
        <div class="acts">
          <button class="main" name="decision" value="approve">${escape(current ? words.approveChange : words.approveAddition)}</button>
          <button name="decision" value="reject" formnovalidate>${escape(words.reject)}</button>
          <button name="decision" value="later" formnovalidate>${escape(words.later)}</button>
        </div>
        <p class="hint">${escape(words.laterHint)}</p>
      </form>
    </section>`;
  const expiresAt = view.expiresAt.toISOString();
  const time = `<time datetime="${expiresAt}">${expiresAt.slice(0, 16).replace('T', ' ')} UTC</time>`;
  const look = { status: refused?.error.code ?? 'OPEN', title, kicker: words.kicker, mark: key, failed: false };
  const html = page(
    look,
    `${refused ? faultsSection(refused.error, faults, language) : ''}${body}
    <footer>${words.worksOnceUntil(time)}</footer>`,
    language,
  );
  return respond(html, refused ? 422 : 200, language);
}

function factsOf(view: RequestView, language: Language): string[] {
  const { requestedBy, current, provider, destination, proposal } = view;
  const words = requestWords[language];
  const who = requestedBy.isKey ? words.workspaceKey(requestedBy.name) : requestedBy.name;
  const rows = [
    [words.workspace, escape(view.workspace)],
    [words.askedBy, escape(words.throughAssistant(who, view.assistant))],
    [words.provider, escape(provider?.name ?? words.ownProvider)],
    ...(destination === null ? [] : [[words.destination, `<code>${escape(destination)}</code>`]]),
    ...(proposal.input.connectionConfig ?? []).map(({ name, value }) => [name, `<code>${escape(value)}</code>`]),
    [current ? words.scopesFromNowOn : words.scopes, scopesOf(view, language)],
  ];
  return rows.map(([term = '', html = '']) => `<div><dt>${escape(term)}</dt><dd>${html}</dd></div>`);
}

/** What the catalogue says is in English, whatever the page is in. */
const english = (language: Language) => (language === 'en' ? '' : ' lang="en"');

function scopesOf({ scopes }: RequestView, language: Language): string {
  if (scopes.length === 0) return escape(requestWords[language].none);
  const items = scopes.map(
    ({ scope, description }) =>
      `<li><code>${escape(scope)}</code>${description ? `<br><small${english(language)}>${escape(description)}</small>` : ''}</li>`,
  );
  return `<ul role="list">${items.join('')}</ul>`;
}

function stepsOf({ provider, current }: RequestView, language: Language): string {
  if (!provider || provider.setupSteps.length === 0 || current) return '';
  const { whereToGet, documentation } = requestWords[language];
  const steps = provider.setupSteps.map((step) => `<li>${escape(step)}</li>`);
  return `<section>
      <h2>${escape(whereToGet)}</h2>
      <ol role="list"${english(language)}>${steps.join('')}</ol>
      <p class="more"><a href="${escape(provider.docsUrl)}" rel="noreferrer" target="_blank">${escape(documentation(provider.name))}</a></p>
    </section>`;
}

function clientHint({ current, hasOperatorClient }: RequestView, language: Language): string {
  const { keepClientHint, operatorClientHint } = requestWords[language];
  if (current) return keepClientHint;
  return hasOperatorClient ? operatorClientHint : '';
}

function kindChoice(chosen: string, language: Language): string {
  const words = requestWords[language];
  const choices = Object.entries(words.kinds).map(
    ([
      value,
      [label, hint],
    ]) => `<label class="choice"><input type="radio" name="kind" value="${value}" required${chosen === value ? ' checked' : ''}>
          <span>${escape(label)}<br><span class="hint">${escape(hint)}</span></span></label>`,
  );
  return `<fieldset id="kind"><legend>${escape(words.kind)}</legend>${choices.join('')}</fieldset>`;
}

/** An error in the page's language, as far as there are words for it. */
interface Told {
  message: string;
  steps: readonly string[];
  /** What marks it where it is in another language than the page. */
  lang: string;
}

function tell(error: DomainError, language: Language): Told {
  const told = tellIn(language, error.failure);
  if (told) return { message: told.message, steps: told.remedy.steps, lang: '' };
  const words = requestWords[language].errors;
  if (words && error instanceof RequestOverError)
    return { message: words.over[error.status ?? 'EXPIRED'], steps: words.overSteps, lang: '' };
  if (words && error instanceof ForbiddenError)
    return { message: words.forbidden, steps: words.forbiddenSteps, lang: '' };
  if (words && error instanceof PlanRequiredError)
    return { message: words.planRequired(error.requiredPlan), steps: words.planRequiredSteps, lang: '' };
  return { message: error.message, steps: error.remedy?.steps ?? [], lang: english(language) };
}

interface FormFault {
  /** The field it is about; null where it is about the request as a whole. */
  id: FieldName | null;
  message: string;
  lang: string;
}

const isFieldName = (name: string): name is FieldName => ['name', 'kind', 'clientId', 'clientSecret'].includes(name);

function faultsOf(error: DomainError, language: Language): FormFault[] {
  if (!(error instanceof ValidationError)) {
    const { message, lang } = tell(error, language);
    return [{ id: null, message, lang }];
  }
  const words = requestWords[language].errors;
  return error.fields.map(({ path, message }) => {
    const name = path.split('.')[1] ?? '';
    if (!isFieldName(name)) return { id: null, message, lang: english(language) };
    return { id: name, message: words?.fields[name] ?? message, lang: '' };
  });
}

function faultsSection(error: DomainError, faults: FormFault[], language: Language): string {
  const items = faults.map(({ id, message, lang }) =>
    id ? `<li><a href="#${id}">${escape(message)}</a></li>` : `<li${lang}>${escape(message)}</li>`,
  );
  const { steps, lang } = tell(error, language);
  const todo = steps.map((step) => `<li${lang}>${escape(step)}</li>`);
  return `<section class="faults" role="alert">
      <h2>${escape(requestWords[language].nothingSaved)}</h2>
      <ul>${[...items, ...todo].join('')}</ul>
    </section>`;
}

const outcomeMarks = { approved: tick, rejected: key, postponed: key };

/** How it ended; or why there is nothing to decide. */
export function outcomePage(outcome: keyof typeof outcomeMarks | DomainError, language: Language): Response {
  const words = requestWords[language];
  if (typeof outcome === 'string') {
    const [title, sentence] = words.outcomes[outcome];
    const look = { status: outcome.toUpperCase(), title, kicker: '', mark: outcomeMarks[outcome], failed: false };
    return respond(page(look, `<section><p>${escape(sentence)}</p></section>`, language), 200, language);
  }
  const isOver = outcome instanceof RequestOverError;
  const { message, steps, lang } = tell(outcome, language);
  const { whatToDo, errorCode } = callbackWords[language];
  const items = steps.map((step) => `<li>${escape(step)}</li>`);
  const todo =
    items.length > 0
      ? `<section><h2>${escape(whatToDo)}</h2><ol role="list"${lang}>${items.join('')}</ol></section>`
      : '';
  const look = {
    status: isOver ? (outcome.status ?? 'UNKNOWN') : outcome.code,
    title: isOver ? words.nothingToDecide : words.cannotApprove,
    kicker: '',
    mark: exclamation,
    failed: true,
  };
  const html = page(
    look,
    `<section><p${lang}>${escape(message)}</p></section>${todo}<footer>${escape(errorCode)} <code>${escape(outcome.code)}</code></footer>`,
    language,
  );
  return respond(html, isOver ? 404 : 403, language);
}

function respond(html: string, status: number, language: Language): Response {
  return new Response(html, { status, headers: { ...headers, 'Content-Language': language, Vary: 'Accept-Language' } });
}

interface Look {
  status: string;
  title: string;
  kicker: string;
  mark: string;
  failed: boolean;
}

function page({ status, title, kicker, mark, failed }: Look, body: string, language: Language): string {
  const { copy, copied } = callbackWords[language];
  return `<!doctype html>
<html lang="${language}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escape(title)}</title>
  <style>${formStyle}</style>
</head>
<body data-status="${escape(status)}">
  <main${failed ? ' class="failed"' : ''} data-copy="${escape(copy)}" data-copied="${escape(copied)}">
    <div class="top">
      <div class="mark" aria-hidden="true"><svg viewBox="0 0 24 24">${mark}</svg></div>
      <div>
        ${kicker && `<p class="kicker">${escape(kicker)}</p>`}
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
