/** Work that must not be cut short, whoever still waits for it. */
export interface InFlight {
  /** Answers the work itself. */
  track: <T>(work: Promise<T>) => Promise<T>;
  /** Settles when nothing is under way any more, what has begun meanwhile included. */
  drain: () => Promise<void>;
}

export function createInFlight(): InFlight {
  const working = new Set<Promise<unknown>>();
  return {
    track(work) {
      const settled: Promise<unknown> = work.then(forget, forget);
      working.add(settled);
      return work;

      function forget(): void {
        working.delete(settled);
      }
    },
    async drain() {
      while (working.size > 0) await Promise.all(working);
    },
  };
}
