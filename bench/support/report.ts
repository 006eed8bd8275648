import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { isSmall } from './scale.ts';

/** One measured number. The machine's speed is in `value`; what can be compared between machines is the ratio. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  ratio?: { value: number; to: string };
  /** What the value, or the ratio where there is one, should not exceed. */
  goal?: number;
  /** What it should reach. */
  atLeast?: number;
}

export interface Result {
  benchmark: string;
  figures: Figure[];
}

const resultsFile = new URL('../results.json', import.meta.url);

/** A figure that is measured against another of the same run. */
export function compared(figure: Figure, base: Figure, goal: number | Pick<Figure, 'goal' | 'atLeast'> = {}): Figure {
  const ratio = { value: figure.value / base.value, to: base.name };
  return { ...figure, ratio, ...(typeof goal === 'number' ? { goal } : goal) };
}

function short(value: number, unit = ''): string {
  if (!Number.isFinite(value)) return 'never';
  const digits = Number.isInteger(value) ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  const text = value.toLocaleString('en', {
    minimumFractionDigits: Math.min(2, digits),
    maximumFractionDigits: Math.min(2, digits),
  });
  return `${text} ${unit}`.trimEnd();
}

function judge({ value, ratio, goal, atLeast }: Figure): string {
  const judged = ratio?.value ?? value;
  if (goal !== undefined) return `≤ ${goal}: ${judged <= goal ? 'met' : 'missed'}`;
  return atLeast === undefined ? '' : `≥ ${atLeast}: ${judged >= atLeast ? 'met' : 'missed'}`;
}

function row(figure: Figure) {
  const { name, value, unit, ratio } = figure;
  return {
    figure: name,
    value: short(value, unit),
    ratio: ratio ? short(ratio.value) : '',
    to: ratio?.to ?? '',
    goal: judge(figure),
  };
}

export function printTable({ benchmark, figures }: Result): void {
  const rows = figures.map(row);
  const columns = ['figure', 'value', 'ratio', 'to', 'goal'] as const;
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((cells) => cells[column].length)));
  const line = (cells: Record<(typeof columns)[number], string>) =>
    columns
      .map((column, index) => cells[column].padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  console.log(`\n${benchmark}`);
  console.log(line({ figure: 'figure', value: 'value', ratio: 'ratio', to: 'to', goal: 'goal' }));
  console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  for (const cells of rows) console.log(line(cells));
}

export function writeResults(results: Result[], postgres: string): void {
  const machine = {
    node: process.version,
    postgres,
    platform: `${process.platform} ${process.arch}`,
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
  const content = { at: new Date().toISOString(), scale: isSmall ? 'small' : 'full', machine, results };
  writeFileSync(resultsFile, `${JSON.stringify(content, null, 2)}\n`);
}
