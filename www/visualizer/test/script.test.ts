import { describe, expect, test } from 'vitest';
import { printStep } from '../src/engine/print.ts';
import { parse } from '../src/engine/script.ts';

/** All steps of a script, printed. */
function steps(text: string): string[] {
  const { program, errors } = parse(text);
  expect(errors).toEqual([]);
  return Array.from({ length: program.length }, (_, i) => printStep(program.step(i)));
}

/** The errors of a script, as `line:column message`. */
function errors(text: string): string[] {
  return parse(text).errors.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

const STORES = 'heap h\npool p cell 24\nlin l\ntree t\n';

describe('every operation', () => {
  const lines = [
    'heap h',
    'heap h2 fixed 4096',
    'lin l capacity 256 in h',
    'pool p cell 24 align 32 cells 8 limit 100 in h',
    'pool q cell 24 fixed 1024',
    'tree t',
    'tree t2 in l',
    'a = alloc h 100',
    'b = alloc h 100 align 64 zero',
    'c = alloc p',
    'd = alloc p 20 zero',
    'n = alloc t 32',
    'm = alloc n 0',
    'r = ref h 48 zero',
    'e = dup a',
    'free a',
    'shred b',
    'taint c',
    'taint p',
    'taint t',
    'zero d',
    'resize e 200',
    'move m to t',
    'move n to m',
    'free children of n',
    'free children of t',
    'up r',
    'down r',
    'guard n',
    'unguard n',
    'mark l as k',
    'rewind l to k',
    'reset l',
    'destroy p',
    'write e "a text"',
    'write e "\\n\\t\\"\\\\ ü"',
    'write e hex 0badf00d',
    'fill e 255',
    'point e at r',
    'point e at r offset 8',
    'free p@0x10040',
    'expect no_room: f = alloc h 1000000',
    '`$.store["book"]` = alloc t 8',
    '`free` = alloc h 8',
    'free `free`',
  ];

  test('is read and printed as it was written', () => {
    expect(steps(lines.join('\n'))).toEqual(lines);
  });

  test('keeps its line', () => {
    const { program } = parse(`\n# nothing\n${lines.join('\n')}`);
    expect(lines.map((_, i) => program.line(i))).toEqual(lines.map((_, i) => i + 3));
  });
});

describe('loops', () => {
  test('are unrolled, nested and with expressions', () => {
    expect(steps(`${STORES}for i in 0..2 { a[i] = alloc p; repeat 2 { taint a[i] } }`).slice(4)).toEqual(
      [0, 1, 2].flatMap((i) => [`a[${i}] = alloc p`, `taint a[${i}]`, `taint a[${i}]`]),
    );
    expect(steps(`${STORES}for i in 7..1 by -3 { a[i*2 - 1] = alloc h i % 4 + 10 / 3 }`).slice(4)).toEqual([
      'a[13] = alloc h 6',
      'a[7] = alloc h 3',
      'a[1] = alloc h 4',
    ]);
  });

  test('may depend on the loops around them', () => {
    const text = `${STORES}for i in 0..3 { for j in 1..i { a[10 * i + j] = alloc p } }\nfree a[33]`;
    expect(steps(text).slice(4)).toEqual([
      'a[11] = alloc p',
      'a[21] = alloc p',
      'a[22] = alloc p',
      'a[31] = alloc p',
      'a[32] = alloc p',
      'a[33] = alloc p',
      'free a[33]',
    ]);
  });

  test('may never turn', () => {
    expect(
      steps(
        `${STORES}repeat 0 { taint p }\nfor i in 3..2 { taint p }\nrepeat 1000000000000 { }\nrepeat 9 { repeat 0 { taint p } taint h }`,
      ).slice(4),
    ).toEqual(Array.from({ length: 9 }, () => 'taint h'));
  });

  test('any step can be asked for first, and is the same', () => {
    const text = `seed 7\n${STORES}for i in 0..40 { for j in 0..i % 5 { a[i*7+j] = alloc h random(1000) }\nrepeat random(4) { taint h } }\nreset p`;
    const { program } = parse(text);
    const inOrder = steps(text);
    expect(new Set(inOrder).size).toBeGreaterThan(60);
    for (let k = 0; k < 500; k += 1) {
      const i = (k * 7919) % program.length;
      expect(printStep(parse(text).program.step(i))).toBe(inOrder[i]);
      expect(printStep(program.step(i))).toBe(inOrder[i]);
    }
  });

  test('of a million steps cost next to nothing until they are run', () => {
    const before = performance.now();
    const { program, errors } = parse('pool p cell 8\nfor i in 0..999999 { a[i] = alloc p }');
    expect(errors).toEqual([]);
    expect(program.length).toBe(1_000_001);
    expect(printStep(program.step(1_000_000))).toBe('a[999999] = alloc p');
    expect(performance.now() - before).toBeLessThan(50);
  });

  test('random numbers are spread, depend on the seed, and stay within bounds', () => {
    const draw = (seed: number) => steps(`seed ${seed}\nheap h\nfor i in 0..9999 { a = alloc h random(10) }`).slice(1);
    const seen = new Map<string, number>();
    for (const line of draw(1)) seen.set(line, (seen.get(line) ?? 0) + 1);
    expect([...seen.keys()].sort()).toEqual(Array.from({ length: 10 }, (_, i) => `a = alloc h ${i}`));
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });
});

describe('sentences', () => {
  const { program } = parse(`say "One."
heap h
say "Two."
say "And more."
for i in 0..2 {
  a[i] = alloc h 8
  say "Inside."
  free a[i]
}
repeat 0 { say "Never." taint h }
say "Three."
repeat 2 { repeat 2 { taint h } }
say "The end."`);
  const told = Array.from({ length: program.length + 1 }, (_, i) => program.told(i));
  const said = Array.from({ length: program.length + 1 }, (_, i) => program.say(i));

  test('belong to the next step', () => {
    expect(said).toEqual([
      'One.',
      'Two. And more.',
      'Inside.',
      '',
      'Inside.',
      '',
      'Inside.',
      'Three.',
      '',
      '',
      '',
      'The end.',
    ]);
  });

  test('stand until the next is told', () => {
    expect(told).toEqual([
      'One.',
      'Two. And more.',
      'Inside.',
      'Inside.',
      'Inside.',
      'Inside.',
      'Inside.',
      'Three.',
      'Three.',
      'Three.',
      'Three.',
      'The end.',
    ]);
  });
});

describe('errors', () => {
  test.each([
    ['frea a', '1:1 “frea” is no operation. Is “free” meant?'],
    ['blubber', '1:1 “blubber” is no operation.'],
    ['heap h\nfree a', '2:6 Nothing before this makes “a”.'],
    ['heap heep\na = alloc hep 10', '2:11 Nothing before this makes “hep”. Is “heep” meant?'],
    ['heap h\na = alloc h', '2:12 Expected the number of bytes.'],
    ['heap h\na = alloc h 10 20', '2:16 The operation is complete here; what follows does not belong to it.'],
    ['heap h\nfree h', '2:6 “h” is a heap; expected a cell.'],
    ['heap h\nh = alloc h 10', '2:1 “h” is a heap already and cannot be a cell too.'],
    ['heap h\nlin h', '2:5 “h” is a heap already and cannot be a region too.'],
    ['pool p', '1:6 A pool needs the size of its cells: pool p cell 24'],
    ['pool p cell 8 size 9', '1:15 A pool has no “size”; it can have: in, fixed, cell, align, cells, limit.'],
    ['heap h cell 8', '1:8 A heap has no “cell”; it can have: in, fixed.'],
    ['heap h in g', '1:11 Nothing before this makes “g”.'],
    ['heap h in h', '1:6 A store cannot be in itself.'],
    ['heap free', '1:6 “free” is a word of the language and cannot be a name.'],
    ['heap h\nfor i in 0..3 { i = alloc h 1 }', '2:17 “i” is the counter of a loop.'],
    ['heap h\nfor i in 0..3 { for i in 0..3 { } }', '2:21 A loop around this one counts with “i” already.'],
    ['heap h\nrepeat 3 { taint h', '2:10 This bracket is never closed.'],
    ['heap h\n}', '2:1 No loop is open that this bracket could close.'],
    ['heap h\nfor i in 0..3 by 0 { taint h }', '2:18 A counter that goes on by 0 never arrives.'],
    ['heap h\nfor i in 0 { taint h }', '2:12 Expected .. and the last number: for i in 0..9'],
    ['heap h\nrepeat { taint h }', '2:8 Expected a number.'],
    ['heap h\na = alloc h 1/0', '2:14 Nothing can be divided by 0.'],
    ['heap h\na = alloc h x', '2:13 Expected the number of bytes.'],
    ['heap h\na = alloc h (x)', '2:14 Expected a number, and “x” is no counter of a loop around it.'],
    ['heap h\na = alloc h 10\nfree a[0]', '3:6 “a” has no index.'],
    ['heap h\na[0] = alloc h 10\nfree a', '3:6 “a” has an index: a[0]'],
    ['heap h\na = alloc h 10\nwrite a 10', '3:9 Expected a text in quotation marks, or “hex” and digits.'],
    ['heap h\na = alloc h 10\nwrite a "ab', '3:9 This text has no end: put a quotation mark behind it.'],
    [
      'heap h\na = alloc h 10\nwrite a "\\q"',
      '3:9 “\\q” is no escape. There are \\n \\r \\t \\0 \\" \\\\ \\x41 and \\u{1f600}.',
    ],
    ['heap h\na = alloc h 10\nwrite a hex abc', '3:12 A byte is two hexadecimal digits; the last has one.'],
    ['heap h\na = alloc h 10\nwrite a hex abxy', '3:12 These are not all hexadecimal digits.'],
    ['heap h\na = alloc h 10\nmove a', '3:7 Expected “to” and the new parent: move n to m'],
    [
      'heap h\nexpect noroom: a = alloc h 1',
      '2:8 Expected a condition: bad_lock, bad_size, too_many, no_room, bad_address, mismatch, in_use, fail_assert.',
    ],
    [
      'heap h\nexpect no_room a = alloc h 1',
      '2:16 After the condition stands a colon, and then the operation: expect no_room: b = alloc p',
    ],
    ['say hello', '1:5 After “say” stands a sentence in quotation marks.'],
    ['heap h\nseed 3', '2:1 “seed” stands before everything else: what is random depends on it.'],
    ['heap h $', '1:8 “$” means nothing here.'],
    ['heap 12ab', '1:6 A number ends here, and a word begins: put a space between them.'],
    ['heap h\na = alloc h 99999999999999999999', '2:13 This number is too large.'],
    ['heap h\nrepeat 6000000 { taint h }', '2:1 This loop makes more than 5,000,000 steps.'],
    [
      'heap h\nfor i in 0..99999 { for j in 0..i { for k in 2..random(2) { taint h } } }',
      '2:1 The loops turn too often to be counted.',
    ],
    ['heap h\na = alloc h 8\nresize a ((((', '3:14 Expected a number.'],
    [`heap h\na = alloc h ${'('.repeat(100)}`, '2:77 This expression has too many parts in each other.'],
    [`heap h\n${'repeat 1 { '.repeat(17)}`, '2:177 Loops can stand in each other 16 deep.'],
  ])('%j', (text, message) => {
    expect(errors(text)[0]).toBe(message);
  });

  test('are told by line, one a statement, and the good lines stay', () => {
    const { program, errors } = parse('heap h\nfree x\na = alloc h 8\nrepeat 2 { frea a; taint a }\nfree 7; free a');
    expect(errors.map(({ line, column }) => [line, column])).toEqual([
      [2, 6],
      [4, 12],
      [5, 6],
    ]);
    expect(Array.from({ length: program.length }, (_, i) => printStep(program.step(i)))).toEqual([
      'heap h',
      'a = alloc h 8',
      'taint a',
      'taint a',
      'free a',
    ]);
  });

  test('in what a loop counts do not hide those in its body', () => {
    expect(
      errors('heap h\nfor i of 0..3 {\n  taint h\n  frea h\n}\ntaint h').map((error) => error.slice(0, 4)),
    ).toEqual(['2:7 ', '4:3 ']);
  });

  test('are no more than twenty', () => {
    expect(errors('x\n'.repeat(1000))).toHaveLength(20);
  });

  test('that only one turn has are steps of their own', () => {
    expect(steps('heap h\nfor i in 0..2 { a[i - 1] = alloc h 8 }').slice(1)).toEqual([
      '# An index is a number from 0 to 9,999,999, and this one is -1.',
      'a[0] = alloc h 8',
      'a[1] = alloc h 8',
    ]);
    expect(steps('heap h\na = alloc h 8\npoint a at a offset 2\nfill a 256').slice(2)).toEqual([
      '# An address stands at a multiple of 4, and 2 is none.',
      '# A byte is a number from 0 to 255, and this one is 256.',
    ]);
    expect(steps('heap h\nfor i in 0..1 { a = alloc h 8 / i }').slice(1)).toEqual([
      '# Nothing can be divided by 0.',
      'a = alloc h 8',
    ]);
  });

  test('never throw, whatever the text', () => {
    const parts = [
      'heap h',
      'for i in',
      '0..',
      '{',
      '}',
      ';',
      '\n',
      '"',
      '`',
      '[',
      ']',
      'a',
      '=',
      'alloc',
      'random(',
      '1',
      '-',
      '@',
      'hex',
      '\\',
      'say "x"',
      '#',
      'é',
      '\u{1f600}',
    ];
    let state = 1;
    const next = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    for (let k = 0; k < 3000; k += 1) {
      const text = Array.from({ length: next(20) }, () => parts[next(parts.length)]).join(next(2) ? ' ' : '');
      const { program, errors } = parse(text);
      for (let i = 0; i < Math.min(program.length, 10); i += 1) printStep(program.step(i));
      for (const { line, column } of errors) {
        const row = text.split('\n')[line - 1];
        expect(row, text).toBeDefined();
        expect(column).toBeLessThanOrEqual((row?.length ?? 0) + 1);
      }
    }
  });
});

describe('cut', () => {
  const text = `# a story
seed 3
heap h
say "Now."
for i in 0..3 {
  a[i] = alloc h random(50)   # in a loop
  repeat 2 { taint a[i] }
}
free a[0]; free a[1]
for i in 0..9 by 3 { b[i] = alloc h i }`;

  test('is a script of the first steps, at every step', () => {
    const whole = steps(text);
    const { program } = parse(text);
    for (let i = 0; i <= program.length; i += 1) {
      expect(steps(program.cut(i)), `cut at ${i}`).toEqual(whole.slice(0, i));
      const again = parse(`${program.cut(i)}\ntaint h`).program;
      expect(Array.from({ length: i }, (_, k) => again.say(k))).toEqual(
        Array.from({ length: i }, (_, k) => program.say(k)),
      );
    }
  });

  test('keeps what it need not change', () => {
    const { program } = parse(text);
    expect(program.cut(1)).toBe('# a story\nseed 3\nheap h');
    expect(program.cut(8)).toBe(`# a story
seed 3
heap h
say "Now."
for i in 0..1 {
  a[i] = alloc h random(50)   # in a loop
  repeat 2 { taint a[i] }
}
a[2] = alloc h ${(/a\[2] = alloc h (\d+)/.exec(steps(text).join('\n')) ?? [])[1]}`);
  });
});
