import { createHash } from 'node:crypto';
import type { GraphiQLOptions } from 'graphql-yoga';

/** A tab that GraphiQL opens with, named after its operation. `variables` and `headers` are JSON texts. */
export interface GraphiqlTab {
  query: string;
  variables: string;
  headers: string;
}

const title = 'App User Connectors';
const logo =
  '<svg viewBox="0 0 24 24" width="28" height="28" aria-hidden="true"><rect width="24" height="24" rx="6" fill="#3a49c4"/>' +
  '<path d="M9 12h6" stroke="#fff" stroke-width="2"/><circle cx="7" cy="12" r="2.5" fill="none" stroke="#fff" stroke-width="2"/>' +
  '<circle cx="17" cy="12" r="2.5" fill="#fff"/></svg>';
const favicon = `data:image/svg+xml,${encodeURIComponent(logo.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"'))}`;
// Tabs that it opens with carry a stale shift, which takes effect when pressed: the tab jumps away from under the first click.
const style = '.graphiql-tab { transform: none !important; }';

/** The page brings everything along, inline; its editor's workers are blobs. It speaks to this service only, and is framed by nobody. */
export const graphiqlPolicy = [
  "default-src 'none'",
  "script-src 'unsafe-inline' blob: data:",
  'worker-src blob: data:',
  "style-src 'unsafe-inline'",
  'img-src data:',
  'font-src data:',
  "connect-src 'self' ws: wss:",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What GraphiQL is given. Subscriptions go as POST too: by GET it would be refused. No tabs are none at all: it fails on an empty list. */
export function graphiqlOptions(tabs: GraphiqlTab[]): GraphiQLOptions {
  return { title, logo, favicon, method: 'POST', ...(tabs.length > 0 && { defaultTabs: tabs }) };
}

/**
 * GraphiQL's page. It keeps its tabs, with their headers, in the browser's storage, and what it finds there wins over what it is
 * given. So the page first forgets tabs that came with another set than today's: their keys may be those of a service that has
 * ended. What it opens with comes from the storage too, the first tab's variables and headers included.
 */
export async function graphiqlPage(options: GraphiQLOptions): Promise<string> {
  const tabs = options.defaultTabs ?? [];
  const id = tabs.length > 0 ? createHash('sha256').update(JSON.stringify(tabs)).digest('hex') : '';
  const values = JSON.stringify([id, tabs[0] ?? {}]).replaceAll('<', '\\u003c');
  const script = `
    ((id, first) => {
      if ((localStorage.getItem('graphiql:tabs-given') ?? '') === id) return;
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith('graphiql:') && key !== 'graphiql:theme') localStorage.removeItem(key);
      }
      for (const [name, value] of Object.entries(first)) localStorage.setItem('graphiql:' + name, value);
      localStorage.setItem('graphiql:tabs-given', id);
      history.replaceState(null, '', location.pathname); // it keeps the edited query in the address as well
    })(...${values});`;
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql'); // megabytes, which production never serves
  return renderGraphiQL(options).replace('</head>', () => `<style>${style}</style><script>${script}</script></head>`);
}
