/*
 * kmem: six kinds of memory in one vocabulary, and every misuse refused.
 *
 * Functions are named method + action: kmheap, kmlin, kmpool, kmref, kmtree, and
 *
 *   i initialise   if initialise in the caller's bytes   x destroy
 *   a allocate     z zeroed     o, zo the same as a managed pointer
 *   f free         s shred, then free     r resize       u, d one reference more, fewer
 *
 * Every function returns a condition unless its declaration says otherwise. What a function gives goes to its first
 * argument, which is left alone when it fails (of a managed pointer the kind becomes kmkind_fail).
 *
 * One store is used by one thread at a time. The process heap, and the counts of counted cells, may be used by any
 * thread at any time.
 *
 * Made from the library's sources by `cargo xtask c`: do not change it by hand.
 */

#ifndef KMEM_H
#define KMEM_H

#include <stddef.h>
#include <stdint.h>

/* Define KFmem_noshred where the library was built without shredding (libkmem_noshred). */
#ifndef KFmem_noshred
#define KFmem_shred 1
#endif

/* Why something was refused. */
typedef enum kmcond {
    kmcond_ok,
    kmcond_bad_lock,     /* the memory could not be locked, or too much is locked */
    kmcond_bad_size,     /* a size or an alignment that cannot be met, or is needed and not known */
    kmcond_too_many,     /* a limit on the number of mappings, cells or references */
    kmcond_no_room,      /* out of memory, a fixed store is full, a quota is reached */
    kmcond_bad_address,  /* not the address of a live cell or store: foreign, inside a cell, given back */
    kmcond_mismatch,     /* a live cell, but of another kind */
    kmcond_in_use,       /* something still holds it */
    kmcond_fail_assert   /* the system gave an unknown answer, or a header was overwritten */
} kmcond;

/* How memory was allocated. */
typedef enum kmkind {
    kmkind_none,
    kmkind_lin,
    kmkind_heap,
    kmkind_pool,
    kmkind_ref,
    kmkind_tree,
    kmkind_fail
} kmkind;

#ifdef KFmem_shred
/* Whether bytes are destroyed. By its tag only, since kmshred is a function too. */
enum kmshred { kmshred_no, kmshred_yes };
#endif

/* What a walk says of a stretch of memory. */
typedef enum kmstate {
    kmstate_block,
    kmstate_header,
    kmstate_used,
    kmstate_free,
    kmstate_shredded,
    kmstate_fresh,
    kmstate_hole,
    kmstate_mark
} kmstate;

/* The header of a node, told by its payload; kmtreen looks first whether it is one. */
#define KMNODE(payload) (((kmnode *)(payload)) - 1)


/**
 * What every cell and every store begins with.
 */
typedef struct kmcell {
    /**
     * A `kmkind`: how it was allocated.
     */
    uint8_t kind;
#if defined(KFmem_shred)
    /**
     * Whether its bytes are destroyed when it goes.
     */
    uint8_t shred;
#endif
    /**
     * The logarithm of its alignment.
     */
    uint8_t align;
    /**
     * What state it is in; kmem's own.
     */
    uint8_t mark;
    /**
     * Bytes of payload and of all fields in front of it.
     */
    size_t size;
} kmcell;

/**
 * A managed pointer: any function can take it and release it rightly without knowing its kind.
 */
typedef struct kmptr {
    /**
     * A `kmkind`.
     */
    uint8_t kind;
#if defined(KFmem_shred)
    /**
     * Whether releasing through this pointer destroys the bytes; if not, the cell and its store are asked.
     */
    uint8_t shred;
#endif
    /**
     * The payload.
     */
    void *ref;
    /**
     * The store; null for the process heap and for memory that was not allocated.
     */
    struct kmcell *cell;
    /**
     * Bytes of payload; `SIZE_MAX` where that is not known.
     */
    size_t size;
} kmptr;

/**
 * A heap, as far as it is shown.
 */
typedef struct kmheap {
    /**
     * What every store begins with.
     */
    struct kmcell id;
} kmheap;

/**
 * A linear region, as far as it is shown.
 */
typedef struct kmlin {
    /**
     * What every store begins with.
     */
    struct kmcell id;
} kmlin;

/**
 * A place in a linear region to which it can be rewound.
 */
typedef struct kmmark {
    /**
     * Where it is kept in the region.
     */
    const void *record;
    /**
     * Which mark it is: another one at the same place is another mark.
     */
    size_t serial;
} kmmark;

/**
 * The front of a cell of a pool; the payload comes right behind it.
 */
typedef struct kmpoolcell {
    /**
     * The cell that was handed out before it; of a free cell the one that was freed before it.
     */
    struct kmpoolcell *last;
    /**
     * What state it is in; kmem's own.
     */
    uint8_t mark;
#if defined(KFmem_shred)
    /**
     * Whether its bytes are destroyed when it goes.
     */
    uint8_t shred;
#endif
    /**
     * A `kmkind`: what it is used as.
     */
    uint8_t kind;
} kmpoolcell;

/**
 * A pool, as far as it is shown.
 */
typedef struct kmpool {
    /**
     * What every store begins with.
     */
    struct kmcell id;
    /**
     * Bytes of a cell.
     */
    size_t cellsz;
    /**
     * The fresh cell that was handed out last.
     */
    struct kmpoolcell *top;
    /**
     * The cell that was freed last, which is handed out next.
     */
    struct kmpoolcell *bottom;
} kmpool;

/**
 * A tree, as far as it is shown.
 */
typedef struct kmtree {
    /**
     * What every store begins with.
     */
    struct kmcell id;
} kmtree;

/**
 * The front of a node of a tree; the payload comes right behind it.
 */
typedef struct kmnode {
    /**
     * What every cell begins with.
     */
    struct kmcell id;
    /**
     * The parent; null for the root of all.
     */
    struct kmnode *parent;
    /**
     * The first child.
     */
    struct kmnode *child;
    /**
     * The last child.
     */
    struct kmnode *lastchild;
    /**
     * The sibling before; null for the first.
     */
    struct kmnode *prev;
    /**
     * The sibling behind; null for the last.
     */
    struct kmnode *next;
    /**
     * kmem's own: destructors, guard, name, quota.
     */
    const void *extra;
} kmnode;

/**
 * Runs when a node goes.
 */
typedef void (*kmdtor)(void *cell, void *ctx);

/**
 * Says by another number than 0 that a node must not go; it must not act on the tree.
 */
typedef int (*kmguard)(void *cell, void *ctx);

/**
 * What `kmwalk` and `kmtreereport` tell of a stretch of memory.
 */
typedef struct kmspan {
    /**
     * Where it is; of a cell its payload.
     */
    void *at;
    /**
     * How long it is; of a cell its payload.
     */
    size_t size;
    /**
     * A `kmkind`: what it is used as.
     */
    uint32_t kind;
    /**
     * A `kmstate`.
     */
    uint32_t state;
    /**
     * Of a node: how far below the first.
     */
    uint32_t depth;
    /**
     * Of a counted cell: its references.
     */
    size_t refs;
    /**
     * Of a node: its name, or null.
     */
    const char *name;
} kmspan;

/**
 * Sees each span, until it returns another number than 0.
 */
typedef int (*kmvisit)(const struct kmspan *span, void *ctx);

/**
 * The front of a counted cell.
 */
typedef struct kmref {
    /**
     * What every cell begins with.
     */
    struct kmcell id;
    /**
     * How many references there are.
     */
    size_t refs;
    /**
     * The store in which the cell lies.
     */
    struct kmcell *src;
} kmref;



#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Releases, drops a reference to, or leaves alone: what is right for the pointer's kind. A tainted one is shredded.
 *
 * `mismatch` for a pointer of kind `fail`, or of another kind than what is there.
 *
 * Owed: What the pointer names is used no more (of a counted cell the caller gives up a reference); static bytes that are to be
 * zeroed may be written to.
 */
kmcond kmfree(struct kmptr ptr);

#if defined(KFmem_shred)
/**
 * Destroys the bytes, then releases; of a counted cell that is still shared, the bytes go with the last reference. Static
 * memory is zeroed: `bad_size` if its size is not known.
 *
 * Owed: What the pointer names is used no more (of a counted cell the caller gives up a reference); static bytes that are to be
 * zeroed may be written to.
 */
kmcond kmshred(struct kmptr ptr);
#endif

/**
 * Wraps memory that was not allocated, of which the size is not known: it can be released, which does nothing, but not be
 * zeroed, shredded or duplicated.
 *
 * Owed: nothing: nothing is done with it.
 */
struct kmptr kmstat(void *raw);

/**
 * The same with its size.
 *
 * Owed: nothing: nothing is done with it.
 */
struct kmptr kmstatn(void *raw, size_t size);

#if defined(KFmem_shred)
/**
 * Marks a pointer and the cell that it names: however the cell is released, its bytes are destroyed.
 *
 * Owed: `ptr` is null, or may be read and written to.
 */
kmcond kmtaint(struct kmptr *ptr);
#endif

#if defined(KFmem_shred)
/**
 * Marks a store, all of whose cells are then destroyed when they go; or a cell, told by its header.
 *
 * Owed: The caller has the store.
 */
kmcond kmtaintc(struct kmcell *cell);
#endif

/**
 * A copy of a cell, allocated as its sibling: in the same store, for a node under the same parent and without its children.
 * Taint is inherited; a counted cell's copy has one reference.
 *
 * `mismatch` for static memory, which has no store to be a sibling in, and for a node that has a destructor.
 *
 * Owed: `where` is null or may be written to; nobody writes to the payload meanwhile.
 */
kmcond kmdup(struct kmptr *where,
             struct kmptr ptr);

/**
 * Zeroes bytes, also where nothing reads them afterwards.
 *
 * Owed: `bytes` is null, or so many bytes may be written to.
 */
kmcond kmzero(void *bytes, size_t len);

/**
 * Zeroes the payload that a pointer names; `mismatch` for a node that has a destructor, whose bytes are somebody's value,
 * `in_use` for a cell in which a store was made.
 *
 * Owed: Nothing reads the payload meanwhile; static bytes may be written to.
 */
kmcond kmozero(struct kmptr ptr);

/**
 * Copies bytes; the two places may overlap.
 *
 * Owed: Each is null, or valid for that many bytes.
 */
kmcond kmcopy(void *dest, const void *src, size_t len);

/**
 * What a condition means, in a few words; a string for any number.
 *
 * Owed: nothing: any number will do.
 */
const char *kmstrerror(kmcond cond);

/**
 * A cell of the process heap, `len` bytes, its contents undefined.
 *
 * `bad_size` for more than an object can have, `no_room` when there is no more memory.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmheapa(void **where, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: As for `kmheapa`.
 */
kmcond kmheapz(void **where, size_t len);

/**
 * The same as `kmheapa`, as a managed pointer.
 *
 * Owed: As for `kmheapa`.
 */
kmcond kmheapo(struct kmptr *where, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: As for `kmheapa`.
 */
kmcond kmheapzo(struct kmptr *where, size_t len);

/**
 * Releases a cell of the process heap, or of whichever heap it is of.
 *
 * `bad_address` for what is no live cell's payload, `mismatch` for a cell of another kind.
 *
 * Owed: If it is a live cell, it is used no more.
 */
kmcond kmheapf(void *cell);

#if defined(KFmem_shred)
/**
 * Destroys the bytes, then releases the cell, as `kmheapf` does.
 *
 * Owed: As for `kmheapf`.
 */
kmcond kmheaps(void *cell);
#endif

/**
 * Gives the cell that `*where` names another size, and writes where it is now.
 *
 * Owed: `where` is null, or may be read and written to; if the cell moves, its old place is used no more.
 */
kmcond kmheapr(void **where, size_t len);

/**
 * Makes a heap of its own.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmheapi(struct kmheap **where);

/**
 * Makes a heap in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
 *
 * They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
 * of the bytes, `bad_size` for more than an object can have.
 *
 * Owed: As for `kmheapi`; `buf` is null or `len` bytes that nothing else uses until the heap is destroyed.
 */
kmcond kmheapif(struct kmheap **where, void *buf, size_t len);

/**
 * Destroys a heap: everything in it goes, tainted cells are shredded first.
 *
 * `in_use` while another store stands in it.
 *
 * Owed: If it is a live heap, neither it nor what is in it is used any more.
 */
kmcond kmheapx(struct kmheap *heap);

/**
 * A cell of a heap.
 *
 * Owed: As for `kmheapa`.
 */
kmcond kmheapa_in(void **where, struct kmheap *heap, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: As for `kmheapa`.
 */
kmcond kmheapz_in(void **where, struct kmheap *heap, size_t len);

/**
 * The same as `kmheapa_in`, as a managed pointer.
 *
 * Owed: As for `kmheapa`.
 */
kmcond kmheapo_in(struct kmptr *where, struct kmheap *heap, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: As for `kmheapa`.
 */
kmcond kmheapzo_in(struct kmptr *where, struct kmheap *heap, size_t len);

/**
 * Releases a cell of a heap.
 *
 * Owed: As for `kmheapf`.
 */
kmcond kmheapf_in(struct kmheap *heap, void *cell);

#if defined(KFmem_shred)
/**
 * Destroys the bytes, then releases the cell.
 *
 * Owed: As for `kmheapf`.
 */
kmcond kmheaps_in(struct kmheap *heap, void *cell);
#endif

/**
 * Gives the cell of a heap that `*where` names another size, and writes where it is now.
 *
 * Owed: As for `kmheapr`.
 */
kmcond kmheapr_in(void **where, struct kmheap *heap, size_t len);

/**
 * Makes a linear region. Its first chunk has room for `cap` bytes of cells and headers, which is a start and no
 * limit; 0 leaves it to kmem.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmlini(struct kmlin **where, size_t cap);

/**
 * Makes a region in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
 *
 * They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
 * of the bytes, `bad_size` for more than an object can have.
 *
 * Owed: As for `kmlini`; `buf` is null or `len` bytes that nothing else uses until the region is destroyed.
 */
kmcond kmlinif(struct kmlin **where, void *buf, size_t len);

/**
 * Makes a region in another store, which cannot be destroyed before it.
 *
 * `too_many` where as many lie in each other as may.
 *
 * Owed: As for `kmlini`.
 */
kmcond kmlini_in(struct kmlin **where, struct kmcell *source, size_t cap);

/**
 * Destroys a region: everything in it goes, what is tainted is shredded first.
 *
 * `in_use` while another store stands in it.
 *
 * Owed: If it is a live region, neither it nor what is in it is used any more.
 */
kmcond kmlinx(struct kmlin *lin);

/**
 * A cell of a region.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmlina(void **where, struct kmlin *lin, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmlinz(void **where, struct kmlin *lin, size_t len);

/**
 * The same as `kmlina`, as a managed pointer.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmlino(struct kmptr *where, struct kmlin *lin, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmlinzo(struct kmptr *where, struct kmlin *lin, size_t len);

/**
 * Releases a cell. The newest gives its room back; that of an older one comes back by a rewind, a reset or the
 * region's end.
 *
 * Owed: If it is a live cell, it is used no more.
 */
kmcond kmlinf(struct kmlin *lin, void *cell);

#if defined(KFmem_shred)
/**
 * Destroys the bytes, then releases the cell.
 *
 * Owed: If it is a live cell, it is used no more.
 */
kmcond kmlins(struct kmlin *lin, void *cell);
#endif

/**
 * Gives the cell that `*where` names another size, and writes where it is now. The newest stays where it is, if there
 * is room.
 *
 * Owed: `where` is null, or may be read and written to; if the cell moves, its old place is used no more.
 */
kmcond kmlinr(void **where, struct kmlin *lin, size_t len);

/**
 * Marks the place up to which a region is used.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmlinmark(struct kmmark *where, struct kmlin *lin);

/**
 * Goes back to a mark: what was allocated since is gone, what is tainted of it shredded.
 *
 * `bad_address` for a mark that the region does not have: of another one, or passed already. `in_use` if another store
 * has taken memory since.
 *
 * Owed: Nothing that was allocated since is used any more.
 */
kmcond kmlinrewind(struct kmlin *lin,
                   struct kmmark mark);

/**
 * Empties a region and keeps its chunks, so that once warmed up it asks its source for nothing.
 *
 * `in_use` while another store stands in it.
 *
 * Owed: Nothing in it is used any more.
 */
kmcond kmlinreset(struct kmlin *lin);

/**
 * Makes a pool of cells of `cellsz` bytes. Its first block has `cells` of them, which is a start and no limit; 0 leaves
 * it to kmem.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmpooli(struct kmpool **where,
               size_t cellsz,
               size_t cells);

/**
 * Makes a pool in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
 *
 * They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
 * of the bytes, `bad_size` for more than an object can have.
 *
 * Owed: As for `kmpooli`; `buf` is null or `len` bytes that nothing else uses until the pool is destroyed.
 */
kmcond kmpoolif(struct kmpool **where, size_t cellsz, void *buf, size_t len);

/**
 * Makes a pool in another store, which cannot be destroyed before it.
 *
 * `too_many` where as many lie in each other as may.
 *
 * Owed: As for `kmpooli`.
 */
kmcond kmpooli_in(struct kmpool **where, struct kmcell *source, size_t cellsz, size_t cells);

/**
 * Destroys a pool: everything in it goes, what is tainted is shredded first.
 *
 * `in_use` while another store stands in it.
 *
 * Owed: If it is a live pool, neither it nor what is in it is used any more.
 */
kmcond kmpoolx(struct kmpool *pool);

/**
 * A cell of a pool, its contents undefined.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmpoola(void **where, struct kmpool *pool);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmpoolz(void **where, struct kmpool *pool);

/**
 * The same as `kmpoola`, as a managed pointer.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmpoolo(struct kmptr *where, struct kmpool *pool);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmpoolzo(struct kmptr *where, struct kmpool *pool);

/**
 * Releases a cell, which is the next to be handed out.
 *
 * Owed: If it is a live cell, it is used no more.
 */
kmcond kmpoolf(struct kmpool *pool, void *cell);

#if defined(KFmem_shred)
/**
 * Destroys the bytes, then releases the cell.
 *
 * Owed: If it is a live cell, it is used no more.
 */
kmcond kmpools(struct kmpool *pool, void *cell);
#endif

/**
 * Says whether the cell that `*where` names has room for `len` bytes: it stays where it is, or `bad_size`.
 *
 * Owed: `where` is null, or may be read and written to.
 */
kmcond kmpoolr(void **where, struct kmpool *pool, size_t len);

/**
 * A counted cell of the process heap, with one reference, its contents undefined.
 *
 * Its count may be changed by any thread.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmrefa(void **where, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmrefz(void **where, size_t len);

/**
 * The same as `kmrefa`, as a managed pointer.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmrefo(struct kmptr *where, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmrefzo(struct kmptr *where, size_t len);

/**
 * A counted cell of a store, which must not be destroyed while the cell is used.
 *
 * Its count is changed by the thread that has the store: the store is asked for the cell first.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmrefa_in(void **where, struct kmcell *source, size_t len);

/**
 * One more reference.
 *
 * `too_many` at the largest count, `in_use` while the last one is being dropped. By any thread, if the cell is one of the
 * process heap.
 *
 * Owed: If it is a live counted cell, the caller has a reference.
 */
kmcond kmrefu(void *cell);

/**
 * One reference fewer: the last one releases the cell. Of two that drop it at once, one is told `in_use` or `bad_address`.
 *
 * Owed: If it is a live counted cell, the caller gives up a reference. The last is dropped where the cell's store may be used.
 */
kmcond kmrefd(void *cell);

/**
 * The same as `kmrefd`, under the name that the other kinds have for it.
 *
 * Owed: If it is a live counted cell, the caller gives up a reference. The last is dropped where the cell's store may be used.
 */
kmcond kmreff(void *cell);

#if defined(KFmem_shred)
/**
 * Marks the cell, so that its bytes are destroyed with the last reference, and drops one.
 *
 * Owed: As for `kmrefd`.
 */
kmcond kmrefs(void *cell);
#endif

/**
 * Makes a tree in memory of its own.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmtreei(struct kmtree **where);

/**
 * Makes a tree in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
 *
 * They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
 * of the bytes, `bad_size` for more than an object can have.
 *
 * Owed: As for `kmtreei`; `buf` is null or `len` bytes that nothing else uses until the tree is destroyed.
 */
kmcond kmtreeif(struct kmtree **where, void *buf, size_t len);

/**
 * Makes a tree whose nodes are cells of another store, which cannot be destroyed before it.
 *
 * `too_many` where as many lie in each other as may.
 *
 * Owed: As for `kmtreei`.
 */
kmcond kmtreei_in(struct kmtree **where, struct kmcell *source);

/**
 * Destroys a tree: all guards are asked, then the destructors run, then everything in it goes.
 *
 * `in_use` if a guard refuses, while another store stands in it, and for the process's own tree.
 *
 * Owed: If it is a live tree, neither it nor what is in it is used any more but by its destructors.
 */
kmcond kmtreex(struct kmtree *tree);

/**
 * The root of a tree, under which all its nodes are; null if there is no such tree, or no memory for its root.
 *
 * Owed: The caller has the tree.
 */
void *kmtreeroot(struct kmtree *tree);

/**
 * A node: the last child of `parent`, or of the root of the process's own tree if that is null. Its contents are
 * undefined.
 *
 * `in_use` under a parent that is being released, `no_room` where a quota is reached.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmtreea(void **where, void *parent, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmtreez(void **where, void *parent, size_t len);

/**
 * The same as `kmtreea`, as a managed pointer.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmtreeo(struct kmptr *where, void *parent, size_t len);

/**
 * The same, zeroed.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmtreezo(struct kmptr *where, void *parent, size_t len);

/**
 * Releases a node and all below it: all guards are asked, then the destructors run, parent before children, then the
 * memory goes.
 *
 * `in_use` if a guard refuses, or if the node is being released: nothing is released then.
 *
 * Owed: If it is a live node, neither it nor what is below it is used any more but by its destructors.
 */
kmcond kmtreef(void *cell);

#if defined(KFmem_shred)
/**
 * The same, and all bytes are destroyed.
 *
 * Owed: If it is a live node, neither it nor what is below it is used any more but by its destructors.
 */
kmcond kmtrees(void *cell);
#endif

/**
 * Releases what is below a node, and keeps the node.
 *
 * Owed: If it is a live node, what is below it is used no more but by its destructors.
 */
kmcond kmtreefc(void *cell);

/**
 * Gives the node that `*where` names another size, and writes where it is now. All links to it follow.
 *
 * Owed: `where` is null, or may be read and written to; if the node moves, its old place is used no more.
 */
kmcond kmtreer(void **where, size_t len);

/**
 * Moves a node, with all below it, to be the last child of another parent; null is the root of its own tree.
 *
 * `in_use` if the new parent is the node or below it, `mismatch` for a parent in another tree, `no_room` where a quota
 * is reached.
 *
 * Owed: The caller has the tree of each that is a live node.
 */
kmcond kmtreem(void *cell,
               void *newparent);

/**
 * The header of a node, whose links are there to be read.
 *
 * Owed: `where` is null or may be written to.
 */
kmcond kmtreen(struct kmnode **where, void *cell);

/**
 * The payload of a node, told by its header; null if it is no live node's.
 *
 * Owed: The caller has the tree.
 */
void *kmnodedata(struct kmnode *node);

/**
 * Has a function run when a node goes, told its payload and `ctx`; of several, the newest runs first.
 *
 * It may do what it likes to what is not going; what it does to what is going is refused with `in_use`.
 *
 * Owed: `fn` may be called so, once.
 */
kmcond kmtreeon(void *cell, kmdtor fn, void *ctx);

/**
 * Takes off what `kmtreeon` put on with the same function and `ctx`; `bad_address` if there is none such.
 *
 * Owed: The caller has the tree.
 */
kmcond kmtreeoff(void *cell, kmdtor fn, void *ctx);

/**
 * Has a function asked before a node goes, by itself or with what it is below: another number than 0 refuses. Null takes
 * it off. It must do nothing else: what it does to the tree is refused.
 *
 * Owed: `fn` is null or may be called so as long as it is set.
 */
kmcond kmtreeguard(void *cell,
                   kmguard fn,
                   void *ctx);

/**
 * Gives a node a name, which is copied; null takes it off.
 *
 * Owed: `name` is null or a string, and the name that the node had is used no more.
 */
kmcond kmtreename(void *cell, const char *name);

/**
 * The name of a node, as long as it has it; null if it has none, or is no live node. In a destructor, what is going still
 * has its name.
 *
 * Owed: The caller has the tree.
 */
const char *kmtreenameof(void *cell);

/**
 * Whether a node has this name: a check of its type, where types are told by names. `mismatch` if it has another or none.
 *
 * Owed: `name` is null or a string.
 */
kmcond kmtreetype(void *cell,
                  const char *name);

/**
 * Limits what a node and all below it may take, in bytes with their headers; 0 lifts the limit.
 *
 * What would take more is refused with `no_room`: by allocating, by resizing, by moving there, by duplicating.
 *
 * Owed: The caller has the tree.
 */
kmcond kmtreequota(void *cell, size_t bytes);

/**
 * Visits all that a store has, in the order of memory; a tree's nodes parent before children.
 *
 * While the walk is under way the store refuses to be changed with `in_use`.
 *
 * Owed: `visit` is null, or may be called with a span and `ctx`.
 */
kmcond kmwalk(struct kmcell *store, kmvisit visit, void *ctx);

/**
 * Visits a node and all below it, parent before children, with their names and depths.
 *
 * While the walk is under way the tree refuses to be changed with `in_use`.
 *
 * Owed: `visit` is null, or may be called with a span and `ctx`.
 */
kmcond kmtreereport(void *cell, kmvisit visit, void *ctx);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KMEM_H */
