import { type Language, languages, tellIn } from '../failures/tell.ts';
import type { DomainError, Remedy } from '../lib/domain-error.ts';
import { RateLimitedError } from '../workspaces/errors.ts';
import { callbackWords } from './callback-words.ts';
import { preferredLanguage } from './language.ts';
import { escape, hash, script, style } from './page.ts';

const policy = `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;

const marks = {
  connected: '<path d="M5 12.5l4.5 4.5L19 7.5"/>',
  failed: '<path d="M12 6.5v7"/><path d="M12 17.5v.01"/>',
};

/**
 * The service's own page, where a flow ends that has no page of an app to go back to. It shows our own sentences only, in the
 * reader's language, and tells a page of one of the `openers` origins that has opened it as a popup how the flow ended.
 */
export function callbackPage(
  { error, openers }: { error: DomainError | null; openers: readonly string[] },
  acceptLanguage: string | null,
  headers: Record<string, string>,
): Response {
  const language = preferredLanguage(acceptLanguage, languages);
  const words = callbackWords[language];
  const title = error ? titleOf(error, language) : words.connected;
  const sentence = error && (tellIn(language, error.failure)?.message ?? words.others[error.code]?.sentence);
  const html = `<!doctype html>
<html lang="${language}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escape(title)}</title>
  <style>${style}</style>
</head>
<body data-status="${error ? escape(error.code) : 'connected'}">
  <main class="${error ? 'failed' : 'connected'}"${openers.length > 0 ? ` data-openers="${escape(openers.join(' '))}"` : ''} data-copy="${escape(words.copy)}" data-copied="${escape(words.copied)}">
    <div class="top">
      <div class="mark" aria-hidden="true"><svg viewBox="0 0 24 24">${error ? marks.failed : marks.connected}</svg></div>
      <div>
        ${error && title !== words.notConnected ? `<p class="kicker">${escape(words.notConnected)}</p>` : ''}
        <h1>${escape(title)}</h1>
        ${error ? `<div${sentence ? '' : ' lang="en"'}><p>${escape(sentence ?? error.message)}</p></div>` : `<p>${escape(words.closeWindow)}</p>`}
      </div>
    </div>
    ${error ? remedyOf(error, language) : ''}
    ${error ? `<footer>${escape(words.errorCode)} <code>${escape(error.code)}</code></footer>` : ''}
  </main>
  <script>${script}</script>
</body>
</html>
`;
  return new Response(html, {
    status: error instanceof RateLimitedError ? 429 : error ? 400 : 200,
    headers: {
      ...headers,
      ...(error instanceof RateLimitedError && { 'Retry-After': String(error.retryAfterSeconds) }),
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Language': language,
      'Content-Security-Policy': policy,
      Vary: 'Accept-Language',
    },
  });
}

/** Where no table knows the failure, only that nothing was connected can be said in every language. */
function titleOf(error: DomainError, language: Language): string {
  return tellIn(language, error.failure)?.title ?? callbackWords[language].notConnected;
}

function remedyOf(error: DomainError, language: Language): string {
  const told = tellIn(language, error.failure);
  const remedy = told?.remedy ?? error.remedy;
  if (!remedy || remedy.steps.length === 0) return '';
  const words = callbackWords[language];
  const own = told?.remedy.steps ?? words.others[error.code]?.steps;
  const steps = (own ?? remedy.steps).map((step) => `<li>${escape(step)}</li>`).join('');
  const docs = remedy.docsUrl
    ? `<p class="more"><a href="${escape(remedy.docsUrl)}" rel="noreferrer">${escape(words.documentation)}</a></p>`
    : '';
  return `<section>
      <h2>${escape(words.whatToDo)}</h2>
      <p class="actor">${escape(words.actors[remedy.actor])}</p>
      <ol role="list"${own ? '' : ' lang="en"'}>${steps}</ol>
      ${docs}
    </section>
    ${valuesOf(remedy, words.valuesToPaste)}`;
}

/** The exact values, those of one label under each other. */
function valuesOf({ values }: Remedy, heading: string): string {
  if (values.length === 0) return '';
  const rows = values.map(({ label, value }, index) => {
    const term = values[index - 1]?.label === label ? '' : `<dt>${escape(label)}</dt>`;
    return `${term}<dd><code>${escape(value)}</code></dd>`;
  });
  return `<section><h2>${escape(heading)}</h2><dl>${rows.join('')}</dl></section>`;
}
