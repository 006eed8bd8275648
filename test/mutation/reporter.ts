import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter } from 'vitest/node';
import { type Mutant, readJudgements, readMutants } from './state.ts';

/** Tells, file by file, how many mutants were noticed, and each that was not. Those of constants are only counted. */
export function mutationReporter(reports: string, every: number): Reporter {
  return {
    onTestRunEnd() {
      const judgements = readJudgements(reports);
      const noticed = new Set(judgements.filter((judgement) => judgement.noticed).map(({ id }) => id));
      const judged = new Set(judgements.filter(({ test }) => test !== null).map(({ id }) => id));
      const read = new Set(judgements.filter(({ id }) => !judged.has(id)).map(({ id }) => id));
      const mutants = readMutants(reports).filter(({ id }) => Number(id) % every === 0);
      for (const fileName of new Set(mutants.map((mutant) => mutant.fileName))) {
        const all = mutants.filter((mutant) => mutant.fileName === fileName);
        const own = all.filter(({ id }) => !read.has(id));
        const survivors = own.filter(({ id }) => !noticed.has(id));
        const name = relative(process.cwd(), fileName);
        const count = `${own.length - survivors.length} of ${own.length} mutants noticed`;
        say(`\n${name}: ${count}; ${all.length - own.length} in constants, which no test can repeat`);
        const lines = readFileSync(fileName, 'utf8').split('\n');
        for (const mutant of survivors) {
          const why = judged.has(mutant.id) ? 'not noticed' : 'not reached';
          say(`  ${name}:${mutant.location.start.line + 1} ${why}: ${wordsOf(mutant, lines)}`);
        }
      }
    },
  };
}

const say = (line: string) => void process.stdout.write(`${line}\n`);

const longest = 90;
const short = (text: string) => text.replace(/\s+/g, ' ').slice(0, longest);

/** What stands there, and what stood there instead. */
function wordsOf({ location: { start, end }, replacement }: Mutant, lines: string[]): string {
  const own = lines.slice(start.line, end.line + 1);
  const last = own.length - 1;
  own[last] = own[last]?.slice(0, end.column) ?? '';
  own[0] = own[0]?.slice(start.column) ?? '';
  return `${short(own.join('\n'))}  →  ${short(replacement)}`;
}
