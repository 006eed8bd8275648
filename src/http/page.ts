import { createHash } from 'node:crypto';

/** How the service's own pages look. */
export const style = `
:root { color-scheme: light dark; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  --ground: #f3f4f6; --card: #fff; --ink: #16181d; --soft: #555b67; --line: #dcdfe5; --well: #f6f7f9;
  --accent: #2f4fd0; --good: #14713f; --good-ground: #e0f4e8; --bad: #a3341b; --bad-ground: #fdeae5; }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1115; --card: #181b21; --ink: #eceef2; --soft: #a6adba; --line: #2e333d;
  --well: #20242c; --accent: #9db2ff; --good: #7ddba3; --good-ground: #14301f; --bad: #ffb09c; --bad-ground: #3b1d15; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem 1rem; background: var(--ground); color: var(--ink); }
main { width: 100%; max-width: 35rem; background: var(--card); border: 1px solid var(--line); border-radius: 16px;
  box-shadow: 0 1px 2px rgb(0 0 0 / .05), 0 12px 32px rgb(0 0 0 / .07); overflow: hidden; }
.top { display: grid; grid-template-columns: auto 1fr; gap: 1rem; padding: 1.75rem 1.75rem 1.5rem; }
.mark { width: 2.75rem; height: 2.75rem; border-radius: 50%; display: grid; place-items: center; color: var(--bad); background: var(--bad-ground); }
.connected .mark { color: var(--good); background: var(--good-ground); }
.mark svg { width: 1.4rem; height: 1.4rem; fill: none; stroke: currentColor; stroke-width: 2.25; stroke-linecap: round; stroke-linejoin: round; }
.kicker { color: var(--soft); font-size: .875rem; }
h1 { font-size: 1.375rem; line-height: 1.25; letter-spacing: -.01em; margin: .1rem 0 .5rem; text-wrap: balance; }
h2 { font-size: 1rem; line-height: 1.4; margin: 0; }
p { margin: 0; }
section { padding: 1.25rem 1.75rem 1.5rem; border-top: 1px solid var(--line); }
.actor { color: var(--soft); font-size: .9375rem; margin-top: .125rem; }
ol { list-style: none; counter-reset: step; margin: 1rem 0 0; padding: 0; display: grid; gap: .75rem; }
li { counter-increment: step; display: grid; grid-template-columns: 1.625rem 1fr; gap: .75rem; }
li::before { margin-top: -.05rem; content: counter(step); width: 1.625rem; height: 1.625rem; border-radius: 50%; display: grid; place-items: center;
  font-size: .8125rem; font-weight: 600; color: var(--accent); border: 1.5px solid currentColor; }
dl { margin: .625rem 0 0; }
dt { color: var(--soft); font-size: .875rem; margin: .875rem 0 .3125rem; }
dt:first-child { margin-top: 0; }
dd { margin: 0; display: flex; align-items: stretch; border: 1px solid var(--line); border-radius: 8px; background: var(--well); overflow: hidden; }
dd + dd { margin-top: .375rem; }
code { font: .875rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dd code { flex: 1; padding: .5rem .75rem; user-select: all; -webkit-user-select: all; }
button { font: 600 .8125rem/1 system-ui, sans-serif; color: var(--accent); background: none; border: 0; border-left: 1px solid var(--line);
  padding: 0 1rem; cursor: pointer; min-width: 5.75rem; }
button:hover { background: var(--card); }
a { color: var(--accent); }
.more { margin-top: 1rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: -3px; border-radius: 6px; }
a:focus-visible { outline-offset: 2px; }
footer { padding: .875rem 1.75rem; border-top: 1px solid var(--line); background: var(--well); color: var(--soft); font-size: .8125rem; }
footer code { font-size: .8125rem; color: var(--ink); }
@media (max-width: 26rem) { .top { grid-template-columns: 1fr; } .top, section, footer { padding-left: 1.25rem; padding-right: 1.25rem; } }
@media (forced-colors: active) { main, .mark { border: 1px solid; } }
`;
// It tells nothing but how it ended, and that to pages of the app only: each reads the connection's state by itself.
export const script = `
const { openers, copy, copied } = document.querySelector('main').dataset;
if (window.opener && openers) {
  for (const origin of openers.split(' ')) {
    window.opener.postMessage({ type: 'app-user-connectors', status: document.body.dataset.status }, origin);
  }
  window.close();
}
if (navigator.clipboard) {
  for (const value of document.querySelectorAll('dd code')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = copy;
    button.setAttribute('aria-label', copy + ': ' + value.textContent);
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(value.textContent);
      button.textContent = copied;
      button.setAttribute('aria-label', copied);
    });
    value.after(button);
  }
}
`;

/** Names an inline style or script in a content security policy. */
export const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
