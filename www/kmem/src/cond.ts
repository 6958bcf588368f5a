/** Why something was refused. A refused call has left everything as it was. */
export type Cond =
  | 'bad_lock'
  | 'bad_size'
  | 'too_many'
  | 'no_room'
  | 'bad_address'
  | 'mismatch'
  | 'in_use'
  | 'fail_assert';

/** All conditions, each at its number; there is none of number 0. */
export const CONDS: readonly (Cond | undefined)[] = [
  undefined,
  'bad_lock',
  'bad_size',
  'too_many',
  'no_room',
  'bad_address',
  'mismatch',
  'in_use',
  'fail_assert',
];

const MEANING: Record<Cond, string> = {
  bad_lock: 'the memory could not be locked, or too much is locked',
  bad_size: 'a size or alignment that cannot be met',
  too_many: 'a limit on the number of cells or references',
  no_room: 'there is no more memory to be had here',
  bad_address: 'not a live cell, store or mark here',
  mismatch: 'it is of another kind',
  in_use: 'something still holds it',
  fail_assert: 'a header was overwritten',
};

/**
 * What every refused call throws.
 *
 * @example
 * ```ts
 * cell.free();
 * try {
 *   cell.free();
 * } catch (error) {
 *   error.cond; // 'bad_address'
 * }
 * ```
 */
export class KmemError extends Error {
  override readonly name = 'KmemError';

  /** The condition. */
  readonly cond: Cond;

  constructor(cond: Cond, detail?: string) {
    super(`${cond}: ${detail ?? MEANING[cond]}`);
    this.cond = cond;
  }
}

/**
 * The answer of one of the module's functions, unless it is a refusal, which is thrown.
 *
 * @example
 * ```ts
 * answer(raw.exports.cell_size(cell.handle)); // 100
 * ```
 */
export function answer(number: number): number {
  if (number < 0) throw new KmemError(CONDS[-number] ?? 'fail_assert');
  return number;
}
