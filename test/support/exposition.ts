/** Prometheus' text format, read as strictly as Prometheus reads it, and more so: what is odd fails. */
export interface Family {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const headLine = new RegExp(`^# (HELP|TYPE) (${metricName}) (.+)$`);
const sampleLine = new RegExp(`^(${metricName})(?:\\{(.*)\\})? (-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|[+-]Inf|Na[Nn])$`);
const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;
const types = new Set(['counter', 'gauge', 'histogram', 'summary']);
const suffixes: Record<string, string[]> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current = '';
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const [, kind, named = '', rest = ''] = headLine.exec(line) ?? [];
    if (kind === 'HELP') {
      if (families.has(named)) throw new Error(`${named} comes twice`);
      families.set(named, { type: '', help: rest, samples: [] });
      current = named;
      continue;
    }
    const family = families.get(current);
    if (!family) throw new Error(`a line before any HELP: ${line}`);
    if (kind === 'TYPE') {
      if (named !== current || family.type !== '' || !types.has(rest)) throw new Error(`no type: ${line}`);
      family.type = rest;
      continue;
    }
    const [, name = '', labelText = '', value = ''] = sampleLine.exec(line) ?? [];
    const allowed = (suffixes[family.type] ?? ['']).map((suffix) => current + suffix);
    if (!allowed.includes(name)) throw new Error(`not of ${current} (${family.type}): ${line}`);
    const key = `${name}{${labelText}}`;
    if (seen.has(key)) throw new Error(`twice: ${key}`);
    seen.add(key);
    family.samples.push({ name, labels: parseLabels(labelText), value: Number(value.replace('Inf', 'Infinity')) });
  }
  return families;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== ''; ) {
    const [whole, name, value] = label.exec(rest) ?? [];
    if (whole === undefined || name === undefined || value === undefined) throw new Error(`no labels: ${text}`);
    if (name in labels) throw new Error(`a label twice: ${text}`);
    labels[name] = value;
    rest = rest.slice(whole.length);
  }
  return labels;
}
