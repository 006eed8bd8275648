import { inject, type RunnerTestCase, TestRunner } from 'vitest';
import { addJudgement, type Judgement, readJudgements } from './state.ts';

/** What instrumented code reads, and what it writes. */
interface Switchboard {
  activeMutant: string | undefined;
  currentTestId: string | undefined;
  hitCount: number;
  hitLimit: number;
  mutantCoverage: { static: Record<string, number>; perTest: Record<string, Record<string, number>> };
}

const global = globalThis as { __stryker__?: Partial<Switchboard> };
const board = Object.assign((global.__stryker__ ??= {}), {
  mutantCoverage: { static: {}, perTest: {} },
}) as Switchboard;

/** What so many tests of one file have not noticed is not for that file to notice. */
const mostTestsOfFile = 10;
/** A test that has taken so long so often leaves the rest to quicker ones. */
const slowMs = 2_500;
const mostSlowTries = 3;

/**
 * Runs each test once as it is, then once more for each mutant that it reached and that no test has noticed yet, all in one process:
 * modules are read and a database is made once, not once a mutant. The tests are told as skipped; what they found, by the reporter.
 */
export default class MutantRunner extends TestRunner {
  private readonly reports = inject('mutationReports');
  private readonly every = inject('mutationEvery');
  private readonly noticed = new Set<string>();
  private readonly judges = new Map<string, string[]>();
  /** Mutants that the test is still to judge. Null is none: it shows that what a hanging one left behind harms no other. */
  private waiting: (string | null)[] = [];
  private reached: Record<string, number> = {};
  private begunAt = 0;
  private slowTries = 0;

  constructor(config: ConstructorParameters<typeof TestRunner>[0]) {
    super(config);
    for (const judgement of readJudgements(this.reports)) this.note(judgement);
  }

  override async onBeforeRunTask(test: RunnerTestCase): Promise<void> {
    await super.onBeforeRunTask(test);
    test.repeats = Number.POSITIVE_INFINITY; // until it is told as skipped
    this.waiting = [];
    this.slowTries = 0;
  }

  override onBeforeTryTask(test: RunnerTestCase, { repeats } = { repeats: 0 }): void {
    super.onBeforeTryTask(test);
    test.result = { ...test.result, state: 'run', errors: [] };
    const id = this.waiting[0] ?? undefined;
    board.hitCount = 0;
    board.hitLimit = id === undefined ? Number.POSITIVE_INFINITY : (this.reached[id] ?? 0) * 100 + 1_000;
    board.activeMutant = id;
    board.currentTestId = repeats === 0 ? test.id : undefined;
    this.begunAt = performance.now();
  }

  onAfterRetryTask(test: RunnerTestCase, { repeats }: { repeats: number }): void {
    board.activeMutant = undefined;
    board.currentTestId = undefined;
    const hasFailed = test.result?.state === 'fail';
    const message = test.result?.errors?.[0]?.message ?? '';
    const id = repeats === 0 ? null : this.waiting.shift();
    if (id) {
      this.judge({ id, test: nameOf(test), noticed: hasFailed });
      if (!hasFailed && performance.now() > this.begunAt + slowMs) this.slowTries += 1;
      if (this.slowTries > mostSlowTries) this.waiting = [];
      if (message.includes('timed out')) this.waiting.unshift(null);
    } else if (hasFailed) {
      process.stderr.write(`${nameOf(test)} fails as it is, and judges nothing: ${message}\n`);
      if (repeats > 0) throw new Error('A mutant has spoilt this process: run it again, and it goes on behind it.');
      this.waiting = [];
    } else if (repeats === 0) {
      this.reached = board.mutantCoverage.perTest[test.id] ?? {};
      this.waiting = Object.keys(this.reached).filter((reached) => this.isOpen(reached, test));
    }
    if (this.waiting.length === 0) test.result = { ...test.result, state: 'skip' };
  }

  override onAfterRunFiles(): void {
    super.onAfterRunFiles();
    const reached = new Set(Object.values(board.mutantCoverage.perTest).flatMap((ids) => Object.keys(ids)));
    for (const id of Object.keys(board.mutantCoverage.static)) {
      if (!reached.has(id) && !this.judges.has(id)) this.judge({ id, test: null, noticed: false });
    }
  }

  private isOpen(id: string, test: RunnerTestCase): boolean {
    const judges = this.judges.get(id) ?? [];
    if (Number(id) % this.every !== 0 || this.noticed.has(id) || judges.includes(nameOf(test))) return false;
    return judges.filter((judge) => judge.startsWith(`${test.file.name} > `)).length < mostTestsOfFile;
  }

  private judge(judgement: Judgement): void {
    addJudgement(this.reports, judgement);
    this.note(judgement);
  }

  private note({ id, test, noticed }: Judgement): void {
    if (noticed) this.noticed.add(id);
    this.judges.set(id, [...(this.judges.get(id) ?? []), ...(test === null ? [] : [test])]);
  }
}

const nameOf = (test: RunnerTestCase) => `${test.file.name} > ${test.name}`;
