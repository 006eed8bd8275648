/** Draws docs/images/bench.svg from bench/results.json: how many reads per second each way answers, beside the floor. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Result } from './support/report.ts';

const { results, machine } = JSON.parse(readFileSync(new URL('results.json', import.meta.url), 'utf8')) as {
  results: Result[];
  machine: { node: string; postgres: string; cores: number };
};

const measure = /^(.+), 64 at a time: reads per second$/;
const bars = (results.find(({ benchmark }) => benchmark === 'peers')?.figures ?? []).flatMap(({ name, value }) => {
  const subject = measure.exec(name)?.[1];
  return subject === undefined ? [] : [{ subject, value }];
});
if (bars.length === 0) throw new Error('bench/results.json holds no `peers`: run `npm run bench -- peers` first.');

const names: Record<string, string> = {
  floor: 'bare node:http + pg: one check, one SELECT',
  GraphQL: 'this service, GraphQL',
  REST: 'this service, REST',
  'client library': 'this service, client library (its cost included)',
  'better-auth': 'better-auth, getAccessToken',
};
const base = bars[0]?.value ?? 1;
const most = Math.max(...bars.map(({ value }) => value));
const [width, left, right, step, top] = [860, 330, 130, 36, 58];
const height = top + bars.length * step + 34;

const rows = bars.map(({ subject, value }, index) => {
  const y = top + index * step;
  const length = Math.max(2, ((width - left - right) * value) / most);
  const kind = subject === 'GraphQL' || subject === 'REST' || subject === 'client library' ? 'own' : 'other';
  return `  <text x="${left - 12}" y="${y + 17}" text-anchor="end">${names[subject] ?? subject}</text>
  <rect class="${kind}" x="${left}" y="${y}" width="${length.toFixed(1)}" height="24" rx="4"/>
  <text class="value" x="${(left + length + 10).toFixed(1)}" y="${y + 17}">${(value / base).toFixed(2)}×</text>`;
});

const about = `10,000 connections, PostgreSQL ${machine.postgres.split(' ')[0]}, Node ${machine.node}, ${machine.cores} cores shared by load, service and database`;
writeFileSync(
  new URL('../docs/images/bench.svg', import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="Token reads per second, 64 at a time, as multiples of a bare server's">
  <style>
    text { font: 14px system-ui, sans-serif; fill: #1f2937 }
    .title { font-size: 17px; font-weight: 600 } .note { font-size: 12px; fill: #6b7280 } .value { font-weight: 600 }
    .own { fill: #2563eb } .other { fill: #9ca3af }
    @media (prefers-color-scheme: dark) { text { fill: #e5e7eb } .note { fill: #9ca3af } .own { fill: #60a5fa } .other { fill: #6b7280 } }
  </style>
  <text class="title" x="12" y="28">Token reads per second, 64 at a time, beside a bare server</text>
${rows.join('\n')}
  <text class="note" x="12" y="${height - 12}">${about}</text>
</svg>
`,
);
