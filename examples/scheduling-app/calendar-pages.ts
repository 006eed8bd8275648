import type { ProviderAccount, ProviderService } from './provider-service.ts';

export interface GrantSummary {
  id: string;
  clientName: string;
  account: ProviderAccount;
  scopes: string[];
  since: Date;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

const style = ([light, dark]: ProviderService['accent']) => `
  :root { color-scheme: light dark; --ground: #eef3ef; --card: #fff; --ink: #17211b; --soft: #55635a; --line: #d5dfd8;
    --accent: ${light}; --on-accent: #fff; --danger: #a02c2c; }
  @media (prefers-color-scheme: dark) { :root { --ground: #0f1613; --card: #18211d; --ink: #e7efea; --soft: #9fb0a6;
    --line: #2c3a33; --accent: ${dark}; --on-accent: #14181f; --danger: #ff9d9d; } }
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px 16px; background: var(--ground);
    color: var(--ink); font: 16px/1.5 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
  main { width: 100%; max-width: 440px; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
    padding: 32px; }
  main.wide { max-width: 620px; }
  .brand { margin: 0 0 24px; color: var(--accent); font-size: 14px; font-weight: 600; letter-spacing: .02em; }
  h1 { margin: 0 0 8px; font-size: 24px; line-height: 1.25; font-weight: 600; text-wrap: balance; }
  p { margin: 0 0 20px; color: var(--soft); }
  p strong { color: var(--ink); font-weight: 600; }
  button { font: inherit; cursor: pointer; border-radius: 9px; border: 1px solid var(--line); background: transparent;
    color: var(--ink); padding: 10px 16px; }
  button:hover { border-color: var(--soft); }
  button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
  a { color: var(--accent); } button.danger { color: var(--danger); }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  .accounts { display: grid; gap: 10px; }
  .accounts button { display: flex; align-items: center; gap: 14px; text-align: left; padding: 12px 14px; }
  .dot { flex: none; width: 34px; height: 34px; border-radius: 50%; }
  .accounts b { display: block; font-weight: 600; } .accounts small, li small { color: var(--soft); font-size: 14px; }
  fieldset { border: 0; margin: 0 0 24px; padding: 0; } legend { padding: 0 0 8px; font-weight: 600; }
  label, .fixed { display: flex; gap: 12px; align-items: baseline; padding: 10px 0; border-top: 1px solid var(--line); }
  input[type=checkbox] { flex: none; margin: 0; width: 17px; height: 17px; accent-color: var(--accent); transform: translateY(3px); }
  label code, .fixed code { display: block; color: var(--soft); font-size: 13px; }
  .field { display: block; border: 0; } .field input, .field textarea { display: block; width: 100%; margin-top: 6px; padding: 9px;
    font: inherit; color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: 8px; }
  main p code { overflow-wrap: anywhere; color: var(--ink); }
  .row { display: flex; gap: 10px; justify-content: flex-end; }
  ul { list-style: none; margin: 0 0 -14px; padding: 0; }
  li { display: flex; gap: 14px; align-items: center; padding: 14px 0; border-top: 1px solid var(--line); }
  li > span:nth-child(2) { flex: 1; min-width: 0; overflow-wrap: anywhere; } li b { display: block; font-weight: 600; }
`;

function page(service: ProviderService, title: string, body: string, width: 'narrow' | 'wide' = 'narrow'): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style(service.accent)}</style>
<main class="${width}"><p class="brand">${escapeHtml(service.title)}</p>
${body}
</main>
</html>`;
}

function dot({ colour }: ProviderAccount): string {
  return `<span class="dot" style="background: ${escapeHtml(colour)}" aria-hidden="true"></span>`;
}

export function chooseAccountPage(service: ProviderService, clientName: string): string {
  const accounts = service.accounts.map(
    (
      account,
    ) => `<button name="account" value="${escapeHtml(account.id)}" data-testid="account-${escapeHtml(account.id)}">
      ${dot(account)}<span><b>${escapeHtml(account.name)}</b><small>${escapeHtml(account.email)}</small></span></button>`,
  );
  return page(
    service,
    'Choose an account',
    `<h1>Choose an account</h1>
    <p>to continue to <strong>${escapeHtml(clientName)}</strong></p>
    <form method="post" class="accounts">${accounts.join('\n')}</form>`,
  );
}

export function consentPage(
  service: ProviderService,
  clientName: string,
  account: ProviderAccount,
  scopes: readonly string[],
): string {
  const choices = scopes.map((scope) => {
    const words = `<span>${escapeHtml(service.scopes[scope] ?? scope)}<code>${escapeHtml(scope)}</code></span>`;
    return scope === 'openid'
      ? `<div class="fixed"><input type="checkbox" checked disabled aria-label="Always included">${words}</div>`
      : `<label><input type="checkbox" name="scope" value="${escapeHtml(scope)}" checked>${words}</label>`;
  });
  return page(
    service,
    'Allow access?',
    `<h1>Allow ${escapeHtml(clientName)}?</h1>
    <p>It asks for access to <strong>${escapeHtml(account.email)}</strong>.</p>
    <form method="post">
      <input type="hidden" name="account" value="${escapeHtml(account.id)}">
      <input type="hidden" name="scope_choice" value="listed">
      <fieldset><legend>It will be able to</legend>${choices.join('\n')}</fieldset>
      <div class="row">
        <button name="decision" value="deny" data-testid="deny">Deny</button>
        <button name="decision" value="allow" class="primary" data-testid="allow">Allow</button>
      </div>
    </form>`,
  );
}

export function accessPage(service: ProviderService, grants: readonly GrantSummary[]): string {
  // The latest first: a person who reconnects may leave an older grant behind.
  const rows = grants.toReversed().map(
    ({ id, clientName, account, scopes, since }) => `<li>${dot(account)}
      <span><b>${escapeHtml(clientName)}</b><small>${escapeHtml(account.email)}, since ${since.toISOString().slice(11, 19)} UTC<br>
      ${escapeHtml(scopes.join(' '))}</small></span>
      <form method="post" action="/revoke"><input type="hidden" name="grant" value="${escapeHtml(id)}">
        <button class="danger" data-testid="revoke">Revoke</button></form></li>`,
  );
  return page(
    service,
    'Apps with access',
    `<h1>Apps with access</h1>
    <p>What a person finds in the account settings of any provider. Revoke a grant, and the next refresh is refused:
    the app asks to reconnect.</p>
    <p><a href="/apps">Register an app</a>, as its developer does.</p>
    ${rows.length > 0 ? `<ul>${rows.join('\n')}</ul>` : '<p><strong>No app has access at the moment.</strong></p>'}`,
    'wide',
  );
}

/** What a developer finds at any provider: where an OAuth app is registered. Afterwards with its client id and secret. */
export function registerPage(
  service: ProviderService,
  registered: { clientId: string; clientSecret: string } | null,
): string {
  return page(
    service,
    'Register an app',
    registered
      ? `<h1>Your app is registered</h1>
      <p>Its client id and client secret, for the connector:</p>
      <p>Client id <code data-testid="client-id">${escapeHtml(registered.clientId)}</code></p>
      <p>Client secret <code data-testid="client-secret">${escapeHtml(registered.clientSecret)}</code></p>`
      : `<h1>Register an app</h1>
      <p>Enter the redirect URIs of a connector, one a line.</p>
      <form method="post">
        <label class="field">Name of the app <input name="name" required></label>
        <label class="field">Redirect URIs <textarea name="redirect_uris" rows="4" required></textarea></label>
        <div class="row"><button class="primary">Register</button></div>
      </form>`,
    'wide',
  );
}

export function providerErrorPage(service: ProviderService, error: string, description: string): string {
  return page(
    service,
    'This did not work',
    `<h1>This did not work</h1><p>${escapeHtml(description)}</p><p><code>${escapeHtml(error)}</code></p>`,
  );
}
