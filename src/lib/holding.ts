/** Counts what is held open, by holder and of all. */
export interface Holding {
  /** One more: answers what is to be called, once or more, when it is let go; null where it would be too many. */
  take(holder: string): (() => void) | null;
}

export function createHolding({ each, all = Number.POSITIVE_INFINITY }: { each: number; all?: number }): Holding {
  const counts = new Map<string, number>();
  let total = 0;
  return {
    take(holder) {
      const count = counts.get(holder) ?? 0;
      if (count >= each || total >= all) return null;
      counts.set(holder, count + 1);
      total += 1;
      let isHeld = true;
      return () => {
        if (!isHeld) return;
        isHeld = false;
        total -= 1;
        const left = (counts.get(holder) ?? 1) - 1;
        if (left > 0) counts.set(holder, left);
        else counts.delete(holder);
      };
    },
  };
}
