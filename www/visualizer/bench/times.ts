/** How long something takes, in ms: the middle of many, and all but one of twenty. */
export interface Times {
  middle: number;
  most: number;
  text: string;
}

export function times(rounds: number, work: () => void): Times {
  const all = Array.from({ length: rounds }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  }).toSorted((a, b) => a - b);
  const [middle, most] = [all[rounds >> 1] as number, all[Math.floor(rounds * 0.95)] as number];
  return { middle, most, text: `${middle.toFixed(2)} ms, 95 of 100 within ${most.toFixed(2)} ms` };
}
