/** Random scripts: stores in stores, and all operations on them, also such as are refused. */

import { chance } from './chance.ts';

/** A script of so many steps. */
export function story(seed: number, steps: number): string {
  const next = chance(seed);
  const pick = <T>(from: readonly T[]): T => from[next(from.length)] as T;
  const where = ['', '', ' fixed 4096', ' fixed 700', ' in h', ' in l'];
  const lines = [
    `heap h${pick(['', ' fixed 6000'])}`,
    `lin l${pick(['', '', ' capacity 300', ' fixed 2000', ' in h'])}`,
    `pool p cell ${pick([0, 8, 24, 100])}${pick(['', ' align 32'])}${pick(['', ' cells 3'])}${pick(['', ' limit 9'])}${pick(where)}`,
    `pool q cell ${pick([40, 200])} cells 4${pick(['', ' in p', ' in h'])}`,
    `tree t${pick([...where, ' in p', ' in q'])}`,
    `heap g in ${pick(['h', 'l', 'p'])}`,
  ];
  const stores = ['h', 'l', 'p', 'q', 't', 'g'];
  /** Names that were given something; it may be gone. */
  const cells: string[] = [];
  const nodes: string[] = ['t'];
  const counted: string[] = [];
  const marks: string[] = [];
  const name = (known: string[], prefix: string): string => {
    const fresh = `${prefix}[${next(40)}]`;
    if (!known.includes(fresh)) known.push(fresh);
    return fresh;
  };
  const size = (): number => pick([0, 1, 8, 20, 64, 200, 1000]);
  const options = (): string => pick(['', '', ' zero', ' align 64', ' align 256 zero', ' align 3']);
  /** A new cell: what it is made from is picked before its name is known. */
  const gives = (known: string[], prefix: string, from: string): string => `${name(known, prefix)} = ${from}`;
  const any = (): string =>
    pick(
      [cells, nodes.slice(1), counted]
        .filter((known) => known.length > 0)
        .concat([['h@0x10008']])
        .flat(),
    );
  const operations: [number, () => string][] = [
    [30, () => gives(cells, 'a', `alloc ${pick(stores)} ${size()}${options()}`)],
    [6, () => gives(cells, 'a', `alloc ${pick(['p', 'q'])}`)],
    [20, () => gives(nodes, 'n', `alloc ${pick(nodes)} ${size()}${options()}`)],
    [10, () => gives(counted, 'r', `ref ${pick(stores)} ${size()}${options()}`)],
    [25, () => `free ${any()}`],
    [8, () => `shred ${any()}`],
    [5, () => `taint ${next(20) === 0 ? pick(stores) : any()}`],
    [4, () => `zero ${any()}`],
    [5, () => `resize ${any()} ${size()}`],
    [6, () => `move ${pick(nodes.slice(1).concat(cells, any()))} to ${pick(nodes)}`],
    [1, () => `free children of ${pick(nodes)}`],
    [4, () => `up ${counted.length > 0 ? pick(counted) : any()}`],
    [4, () => `down ${counted.length > 0 ? pick(counted) : any()}`],
    [2, () => `guard ${any()}`],
    [3, () => `unguard ${any()}`],
    [3, () => `mark l as ${name(marks, 'k')}`],
    [2, () => (marks.length > 0 ? `rewind l to ${pick(marks)}` : 'reset l')],
    [4, () => `fill ${any()} ${next(256)}`],
    [4, () => `write ${any()} "some bytes"`],
    [4, () => (counted.length > 0 ? `point ${any()} at ${pick(counted)}` : 'reset q')],
    [1, () => `reset ${pick(stores)}`],
    [1, () => `destroy ${pick(stores)}`],
    [1, () => `pool q cell ${pick([16, 48])} in h`],
    [1, () => `for i in 0..3 { b[i] = alloc ${pick(stores)} 24 }`],
  ];
  const total = operations.reduce((sum, [weight]) => sum + weight, 0);
  while (lines.length < steps) {
    // `dup` may make any sort of cell; the name is of that sort.
    if (next(30) === 0) {
      const cell = any();
      const [known, prefix] = cell.startsWith('r')
        ? [counted, 'r']
        : cell.startsWith('n')
          ? [nodes, 'n']
          : [cells, 'a'];
      lines.push(gives(known as string[], prefix as string, `dup ${cell}`));
      continue;
    }
    let at = next(total);
    let chosen = 0;
    while (at >= (operations[chosen]?.[0] ?? Number.POSITIVE_INFINITY)) {
      at -= operations[chosen]?.[0] ?? 0;
      chosen += 1;
    }
    lines.push(operations[chosen]?.[1]() ?? '');
  }
  return lines.join('\n');
}
