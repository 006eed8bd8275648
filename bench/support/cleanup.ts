/** What must be undone at the end, in reverse, also when a benchmark fails or is interrupted. */
export interface Cleanup {
  add(undo: () => unknown): void;
  run(): Promise<void>;
}

export function createCleanup(): Cleanup {
  const steps: (() => unknown)[] = [];
  return {
    add: (undo) => {
      steps.push(undo);
    },
    async run() {
      for (let undo = steps.pop(); undo; undo = steps.pop()) {
        try {
          await undo();
        } catch (error) {
          console.error(error); // one that fails must not keep the others from being undone
        }
      }
    },
  };
}
