import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One change to the source. Lines and columns count from 0. */
export interface Mutant {
  id: string;
  fileName: string;
  mutatorName: string;
  replacement: string;
  location: { start: { line: number; column: number }; end: { line: number; column: number } };
}

/** What one test said of one mutant. */
export interface Judgement {
  id: string;
  /** Null: it was reached when its module was read, which no test can repeat. */
  test: string | null;
  noticed: boolean;
}

const pathsOf = (reports: string) => ({
  mutants: join(reports, 'mutants.json'),
  judgements: join(reports, 'judgements.jsonl'),
});

/** Judgements are of these mutants by their ids: those of any others, or of another version of the source, go. */
export function writeMutants(reports: string, mutants: readonly Mutant[]): void {
  const paths = pathsOf(reports);
  const text = JSON.stringify(mutants);
  if (existsSync(paths.mutants) && readFileSync(paths.mutants, 'utf8') === text) return;
  mkdirSync(reports, { recursive: true });
  rmSync(paths.judgements, { force: true });
  writeFileSync(paths.mutants, text);
}

export function readMutants(reports: string): Mutant[] {
  return JSON.parse(readFileSync(pathsOf(reports).mutants, 'utf8')) as Mutant[];
}

/** What has been judged so far, by this run or by those before it. */
export function readJudgements(reports: string): Judgement[] {
  const { judgements } = pathsOf(reports);
  const lines = existsSync(judgements) ? readFileSync(judgements, 'utf8').split('\n') : [];
  return lines.filter(Boolean).map((line) => JSON.parse(line) as Judgement);
}

export function addJudgement(reports: string, judgement: Judgement): void {
  appendFileSync(pathsOf(reports).judgements, `${JSON.stringify(judgement)}\n`);
}
