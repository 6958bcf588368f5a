/** Stories to begin with. */

import type { Preset } from './types.ts';

export const presets: readonly Preset[] = [
  {
    id: 'reuse',
    title: 'Freed last, handed out first',
    about: 'In which order a pool hands its free cells out again.',
    script: `# bottom is the most recently freed cell, top the most recently handed-out fresh one.
say "A pool hands out cells of one size. This one has 400 bytes of its own, room for eleven cells."
pool p cell 24 fixed 400
say "The first cell is a fresh one: nothing was ever there. top points to it."
a = alloc p
say "So is the next, and top moves on."
b = alloc p
say "A third."
c = alloc p
say "And a fourth."
d = alloc p
say "b goes back. Its header says free now, and bottom points to it."
free b
say "d goes back too. bottom points to d, and the link in d's header leads on to b."
free d
say "The next request gets the cell that was freed last: d's."
e = alloc p
say "The one after it gets b's. top has not moved: no fresh cell was needed."
f = alloc p
say "Nothing is free now, so the pool takes a fresh cell, and top moves."
g = alloc p
say "Three more cells go back: a is the first."
free a
say "c is the second, and is now before a in the free order."
free c
say "g is the third. The free order is g, c, a: the last comes first."
free g
say "g's cell comes out again. It took one look at bottom, however large the pool is."
x = alloc p
say "Then c's."
y = alloc p
say "And then a's: the first to go back is the last to come out."
z = alloc p
`,
  },
  {
    id: 'holes',
    title: 'Holes that a pool does not have',
    about: 'A heap has room enough and yet none; a pool cannot get there.',
    script: `say "A heap takes requests of any size. This one has 440 bytes."
heap h fixed 440
say "Eight cells of 40 bytes fill it."
for i in 0..7 { a[i] = alloc h 40 }
say "Every second one goes back."
for i in 1..7 by 2 { free a[i] }
say "192 bytes are free, and a request of 60 is refused: no hole is long enough. That is fragmentation."
expect no_room: b = alloc h 60
say "A pool of the same cells."
pool p cell 40 fixed 430
say "Eight of them fill it too."
for i in 0..7 { c[i] = alloc p }
say "Every second one goes back."
for i in 1..7 by 2 { free c[i] }
say "But a pool hands out one size only, and every hole is exactly that. No room is ever lost."
for i in 0..3 { d[i] = alloc p }
say "Back in the heap, a cell between two holes goes: all three join into one."
free a[2]
say "Now the request of 60 bytes fits."
b = alloc h 60
`,
  },
  {
    id: 'subtree',
    title: 'A parent takes its children along',
    about: 'One call releases a request and all that belongs to it.',
    script: `say "A tree owns its nodes: each goes with its parent."
tree t
say "A server keeps what belongs to a request under a node of the request."
request = alloc t 40
say "The headers get a node of their own under it."
headers = alloc request 16
say "Each header is a node under that."
host = alloc headers 20
say "A second header is its sibling."
agent = alloc headers 30
say "The body is under the request too."
body = alloc request 100
say "Meanwhile there is another request."
other = alloc t 40
say "Somebody is still reading the body, and guards it."
guard body
say "A guard in the subtree refuses the release of all of it: in_use, and nothing has gone."
expect in_use: free request
say "The reader is done."
unguard body
say "One call now releases the request and everything under it. The other request stays."
free request
say "The names lead nowhere any more: what is gone is refused, always."
expect bad_address: free host
`,
  },
  {
    id: 'steal',
    title: 'A node moves to another parent',
    about: 'What is worth keeping is taken out of what goes.',
    script: `say "A tree."
tree t
say "A draft is put together under one node."
draft = alloc t 24
say "It has a chapter."
chapter = alloc draft 24
say "The chapter has a first page."
page[0] = alloc chapter 60
say "It has a second page."
page[1] = alloc chapter 60
say "The draft also has notes that nobody will need later."
notes = alloc draft 80
say "The book is another node of the root."
book = alloc t 24
say "The chapter moves under the book, and its pages with it. Only links change: no byte of the payloads is copied."
move chapter to book
say "A node cannot move under itself: that would make a loop, and is refused."
expect in_use: move book to page[1]
say "The draft goes, with the notes. The chapter is no longer its child, and stays."
free draft
say "A copy of a node becomes its sibling; the nodes below it are not copied."
copy = dup chapter
say "All children of the book go, and the book stays."
free children of book
`,
  },
  {
    id: 'shred',
    title: 'Freed bytes stay, shredded bytes do not',
    about: 'What free leaves in memory, and what shred and taint do about it.',
    script: `# Open the bytes of a, b and c and watch them.
say "A pool of cells of 40 bytes."
pool p cell 40 fixed 400
say "One cell is for a first secret."
a = alloc p
say "Another is for a second."
b = alloc p
say "The first secret is written down."
write a "the first secret: correct horse battery"
say "The second is written down too."
write b "the second secret: tomato sauce recipe"
say "The first is freed. Look at its bytes: only the header has changed, and the secret is all there."
free a
say "The second is shredded: its bytes are destroyed, and then it is freed. The header says so."
shred b
say "Who asks next gets the shredded cell, and finds nothing."
c = alloc p
say "Who asks then gets the other, and finds the secret."
d = alloc p
say "It goes back once more, and the secret is still there for the next one."
free d
say "Here is a third secret."
write c "the third secret: where the keys are"
say "Its cell is tainted: the header says that it is to be shredded however it goes."
taint c
say "A copy of it inherits the taint."
e = dup c
say "So a plain free destroys the bytes."
free c
say "Those of the copy too."
free e
say "A store can be tainted as a whole. Then all that it takes back is shredded."
taint p
`,
  },
  {
    id: 'full',
    title: 'A fixed store runs full',
    about: 'A store in bytes of its own never asks for more, and says so when it is full.',
    script: `say "A pool in 300 bytes of its own. There is room for its head and five cells."
pool p cell 40 fixed 300
say "Five cells are handed out, and nothing is fresh any more."
for i in 0..4 { a[i] = alloc p }
say "The sixth request is refused with no_room. Nothing has changed by it."
expect no_room: b = alloc p
say "One cell goes back."
free a[2]
say "Now the request is granted: it gets that cell."
b = alloc p
say "A larger cell than the pool's is never granted: bad_size."
expect bad_size: c = alloc p 41
say "A pool that may grow can be given a limit instead."
pool q cell 8 limit 2
say "Two cells are handed out."
for i in 0..1 { d[i] = alloc q }
say "The third is one too many, though there is memory: too_many."
expect too_many: d[2] = alloc q
`,
  },
  {
    id: 'count',
    title: 'The count that keeps a cell alive',
    about: 'A counted cell goes with its last reference.',
    script: `say "A heap."
heap h fixed 700
say "A counted cell begins with one reference. The count stands in its header."
r = ref h 32
say "It holds something that several want to use."
write r "settings for everybody"
say "The first user is an ordinary cell."
a = alloc h 16
say "It keeps the address of the settings."
point a at r
say "And it takes a reference, so that they stay."
up r
say "There is a second user."
b = alloc h 16
say "It keeps the address too."
point b at r
say "And it takes a third reference."
up r
say "Who made the settings is done with them. Two references are left."
down r
say "The first user drops its reference: one is left."
down r
say "Then it goes itself."
free a
say "The second user shreds: that was the last reference, so the bytes are destroyed and the cell goes."
shred r
say "The second user goes too."
free b
say "Whoever still has the name is refused: there is nothing to count any more."
expect bad_address: up r
`,
  },
  {
    id: 'mark',
    title: 'A mark, and back to it',
    about: 'Linear memory: one cell after the other, and room that comes back all at once.',
    script: `say "A linear region hands out one cell after the other. A cursor moves on; nothing is searched."
lin l fixed 700
say "The first cell lies at the start."
a = alloc l 40
say "The next lies right behind it."
b = alloc l 40
say "A third follows."
c = alloc l 40
say "The newest cell can be released: the cursor goes back over it."
free c
say "An older one leaves a hole, which comes back later."
free a
say "The newest cell can also grow where it is."
resize b 80
say "A mark notes where the cursor is."
mark l as before
say "The next four cells belong to one phase of the work."
for i in 0..3 { temp[i] = alloc l 40 }
say "The phase is over. Going back to the mark releases all four at once."
rewind l to before
say "A mark that was passed is refused."
expect bad_address: rewind l to before
say "A reset releases everything, the hole too, and keeps the memory for the next round."
reset l
say "The next round begins at the start again."
d = alloc l 40
`,
  },
  {
    id: 'nested',
    title: 'Stores in stores',
    about: 'Every store can be the source of another.',
    script: `say "A heap, over the pages of this module."
heap h
say "A linear region that takes its chunks from the heap."
lin l capacity 2000 in h
say "A pool that takes its blocks from the region."
pool p cell 88 cells 6 in l
say "And a tree whose nodes are cells of the pool."
tree t in p
say "A node takes a cell of the pool: its header shows in both pictures."
n = alloc t 40
say "A node under it takes the next cell. Point at it: all four stores show where it lies."
m = alloc n 40
say "A node that is longer than a cell of the pool is refused, by the pool."
expect bad_size: o = alloc n 100
say "What is borrowed cannot be destroyed: the tree stands in the pool."
expect in_use: destroy p
say "So the tree goes first: its nodes are free cells of the pool again."
destroy t
say "Then the pool: its block becomes a hole in the region, or the cursor goes back over it."
destroy p
say "Then the region: the heap has its chunk back."
destroy l
`,
  },
  {
    id: 'crowd',
    title: 'A crowd: 100,000 cells and a tree of 10,000 nodes',
    about: 'To watch while cells and nodes come and go.',
    script: `say "100,000 cells of a pool are handed out."
pool p cell 8
for i in 0..99999 { a[i] = alloc p }
say "A tree of 10,000 nodes grows beside it."
tree t
for i in 0..99 { top[i] = alloc t 8 }
for i in 0..899 { mid[i] = alloc top[i % 100] 8 }
for i in 0..8998 { leaf[i] = alloc mid[i % 900] 8 }
say "Then cells and leaves go and come, all over the place."
for i in 0..99999 {
  free a[i * 61 % 100000]
  free leaf[i * 7 % 8999]
  a[i * 61 % 100000] = alloc p
  leaf[i * 7 % 8999] = alloc mid[i * 11 % 900] 8
}
say "A third of the cells are freed, in an order of their own."
for i in 0..33332 { free a[i * 47 % 33333 * 3] }
`,
  },
  {
    id: 'million',
    title: 'A million cells',
    about: 'A pool of 1,000,000 cells, from end to end.',
    script: `say "A million cells of eight bytes are handed out, one by one."
pool p cell 8
for i in 0..999999 { a[i] = alloc p }
say "Every tenth is freed."
for i in 0..999999 by 10 { free a[i] }
say "The fifth after each of them is shredded."
for i in 5..999999 by 10 { shred a[i] }
say "Half of these are handed out again: the last first."
for i in 0..99999 { b[i] = alloc p }
`,
  },
  {
    id: 'own',
    title: 'Your own',
    about: 'One empty store of each kind, to play with by hand.',
    script: `heap h
lin l
pool p cell 24 fixed 1000
tree t
`,
  },
];
