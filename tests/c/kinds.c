/* Every function of every kind does what its name says, in stores on the heap, in bytes of one's own and in others. */
#include "check.h"

static void structs(void) {
    CHECK(kmcond_ok == 0 && kmcond_bad_lock == 1 && kmcond_bad_size == 2 && kmcond_too_many == 3);
    CHECK(kmcond_no_room == 4 && kmcond_bad_address == 5 && kmcond_mismatch == 6 && kmcond_in_use == 7);
    CHECK(kmcond_fail_assert == 8);
    CHECK(kmkind_none == 0 && kmkind_lin == 1 && kmkind_heap == 2 && kmkind_pool == 3 && kmkind_ref == 4);
    CHECK(kmkind_tree == 5 && kmkind_fail == 6);
    CHECK(sizeof(kmcell) == 16 && sizeof(kmptr) == 32 && sizeof(kmref) == 32 && sizeof(kmnode) == 64);
    CHECK(offsetof(kmptr, ref) == 8 && offsetof(kmptr, cell) == 16 && offsetof(kmptr, size) == 24);
    CHECK(offsetof(kmnode, parent) == 16 && offsetof(kmnode, next) == 48);
    CHECK(offsetof(kmpool, cellsz) == 16 && offsetof(kmpool, top) == 24 && offsetof(kmpool, bottom) == 32);
    CHECK(offsetof(kmref, refs) == 16 && offsetof(kmref, src) == 24 && offsetof(kmpoolcell, last) == 0);
    for (unsigned cond = 0; cond < 20; cond++) CHECK(*kmstrerror((kmcond)cond));
}

static void heaps(void) {
    void *cell, *other;
    OK(kmheapa(&cell, 100));
    CHECK((uintptr_t)cell % 16 == 0);
    memset(cell, 7, 100);
    OK(kmheapr(&cell, 5000));
    CHECK(all_bytes(cell, 7, 100));
    OK(kmheapr(&cell, 10));
    CHECK(all_bytes(cell, 7, 10));
    OK(kmheapf(cell));
    IS(kmheapf(cell), kmcond_bad_address);
    OK(kmheapz(&cell, 3000));
    CHECK(all_bytes(cell, 0, 3000));
    OK(kmheapa(&other, 0));
    CHECK(other != NULL && other != cell);
    OK(kmheapf(other));
    other = &other;
    IS(kmheapa(&other, SIZE_MAX), kmcond_bad_size);
    IS(kmheapr(&cell, SIZE_MAX - 8), kmcond_bad_size);
    CHECK(other == &other && all_bytes(cell, 0, 3000));
    IS(kmheapa(NULL, 8), kmcond_bad_address);
#ifdef KFmem_shred
    OK(kmheaps(cell));
#else
    OK(kmheapf(cell));
#endif

    kmptr ptr;
    OK(kmheapo(&ptr, 48));
    CHECK(ptr.kind == kmkind_heap && ptr.size == 48 && ptr.cell == NULL);
    OK(kmfree(ptr));
    IS(kmfree(ptr), kmcond_bad_address);
    OK(kmheapzo(&ptr, 48));
    CHECK(all_bytes(ptr.ref, 0, 48));
    OK(kmfree(ptr));
    kmptr was = ptr;
    IS(kmheapo(&ptr, SIZE_MAX), kmcond_bad_size);
    CHECK(ptr.kind == kmkind_fail && ptr.ref == was.ref && ptr.size == was.size);
    IS(kmfree(ptr), kmcond_mismatch);

    kmheap *heap;
    OK(kmheapi(&heap));
    CHECK(heap->id.kind == kmkind_heap);
    OK(kmheapa_in(&cell, heap, 64));
    OK(kmheapr_in(&cell, heap, 640));
    OK(kmheapz_in(&other, heap, 64));
    CHECK(all_bytes(other, 0, 64));
    OK(kmheapf_in(heap, cell));
    IS(kmheapf_in(heap, cell), kmcond_bad_address);
    OK(kmheapf(other));
    OK(kmheapo_in(&ptr, heap, 20));
    CHECK(ptr.cell == &heap->id);
    OK(kmfree(ptr));
    OK(kmheapzo_in(&ptr, heap, 20));
#ifdef KFmem_shred
    OK(kmheaps_in(heap, ptr.ref));
#else
    OK(kmheapf_in(heap, ptr.ref));
#endif
    OK(kmheapx(heap));
    IS(kmheapx(heap), kmcond_bad_address);
    IS(kmheapa_in(&cell, heap, 8), kmcond_bad_address);
}

static void lins(void) {
    void *first, *second, *third;
    kmlin *lin;
    OK(kmlini(&lin, 1000));
    CHECK(lin->id.kind == kmkind_lin);
    OK(kmlina(&first, lin, 10));
    OK(kmlinz(&second, lin, 100));
    CHECK(all_bytes(second, 0, 100));
    OK(kmlinr(&second, lin, 200));
    kmmark mark, later;
    OK(kmlinmark(&mark, lin));
    OK(kmlina(&third, lin, 10));
    OK(kmlinmark(&later, lin));
    OK(kmlinrewind(lin, mark));
    IS(kmlinrewind(lin, later), kmcond_bad_address);
    IS(kmlinrewind(lin, mark), kmcond_bad_address);
    IS(kmlinf(lin, third), kmcond_bad_address);
    OK(kmlinf(lin, second));
    void *again;
    OK(kmlina(&again, lin, 100));
    CHECK(again == second);
#ifdef KFmem_shred
    OK(kmlins(lin, first));
#else
    OK(kmlinf(lin, first));
#endif
    kmptr ptr;
    OK(kmlino(&ptr, lin, 5));
    CHECK(ptr.kind == kmkind_lin && ptr.cell == &lin->id && ptr.size == 5);
    OK(kmfree(ptr));
    OK(kmlinzo(&ptr, lin, 50));
    CHECK(all_bytes(ptr.ref, 0, 50));
    OK(kmlinreset(lin));
    IS(kmfree(ptr), kmcond_bad_address);
    OK(kmlina(&first, lin, 100000));
    OK(kmlinx(lin));
    IS(kmlinx(lin), kmcond_bad_address);
    IS(kmlini(&lin, SIZE_MAX), kmcond_bad_size);
}

static void pools(void) {
    void *cells[3];
    kmpool *pool;
    OK(kmpooli(&pool, 40, 8));
    CHECK(pool->id.kind == kmkind_pool && pool->cellsz == 40 && pool->top == NULL);
    OK(kmpoola(&cells[0], pool));
    OK(kmpoolz(&cells[1], pool));
    OK(kmpoola(&cells[2], pool));
    CHECK(all_bytes(cells[1], 0, 40));
    CHECK((void *)(pool->top + 1) == cells[2]);
    CHECK((void *)(((kmpoolcell *)cells[2] - 1)->last + 1) == cells[1]);
    OK(kmpoolf(pool, cells[1]));
    CHECK((void *)(pool->bottom + 1) == cells[1]);
    IS(kmpoolf(pool, cells[1]), kmcond_bad_address);
    void *again;
    OK(kmpoola(&again, pool));
    CHECK(again == cells[1]);
    OK(kmpoolr(&again, pool, 40));
    IS(kmpoolr(&again, pool, 41), kmcond_bad_size);
    kmptr ptr;
    OK(kmpoolo(&ptr, pool));
    CHECK(ptr.kind == kmkind_pool && ptr.size == 40 && ptr.cell == &pool->id);
    OK(kmfree(ptr));
    OK(kmpoolzo(&ptr, pool));
    CHECK(all_bytes(ptr.ref, 0, 40));
#ifdef KFmem_shred
    OK(kmpools(pool, ptr.ref));
    CHECK(all_bytes(ptr.ref, 0, 40));
#endif
    OK(kmpoolx(pool));
    IS(kmpooli(&pool, SIZE_MAX, 1), kmcond_bad_size);
    OK(kmpooli(&pool, 1, 0));
    for (int i = 0; i < 10000; i++) OK(kmpoola(&again, pool));
    OK(kmpoolx(pool));
}

static void counted(void) {
    void *cell;
    OK(kmrefa(&cell, 40));
    kmref *front = (kmref *)cell - 1;
    CHECK(front->id.kind == kmkind_ref && front->refs == 1);
    OK(kmrefu(cell));
    CHECK(front->refs == 2);
    OK(kmrefd(cell));
    OK(kmreff(cell));
    IS(kmrefd(cell), kmcond_bad_address);
    IS(kmrefu(cell), kmcond_bad_address);
    OK(kmrefz(&cell, 40));
    CHECK(all_bytes(cell, 0, 40));
    IS(kmheapf(cell), kmcond_mismatch);
    OK(kmrefd(cell));
    kmptr ptr;
    OK(kmrefo(&ptr, 8));
    CHECK(ptr.kind == kmkind_ref && ptr.size == 8);
    OK(kmrefu(ptr.ref));
    OK(kmfree(ptr));
    OK(kmfree(ptr));
    IS(kmfree(ptr), kmcond_bad_address);
    OK(kmrefzo(&ptr, 8));
    OK(kmfree(ptr));

    kmheap *heap;
    kmlin *lin;
    kmpool *pool;
    kmtree *tree;
    OK(kmheapi(&heap));
    OK(kmlini(&lin, 0));
    OK(kmpooli(&pool, 200, 0));
    OK(kmtreei(&tree));
    kmcell *sources[] = {&heap->id, &lin->id, &pool->id, &tree->id};
    for (int i = 0; i < 4; i++) {
        OK(kmrefa_in(&cell, sources[i], 100));
        front = (kmref *)cell - 1;
        CHECK(front->refs == 1 && front->src == sources[i]);
        memset(cell, 3, 100);
        OK(kmrefu(cell));
        OK(kmrefd(cell));
        CHECK(all_bytes(cell, 3, 100));
        IS(kmheapf(cell), kmcond_mismatch);
        IS(kmtreef(cell), kmcond_mismatch);
#ifdef KFmem_shred
        OK(kmrefs(cell));
#else
        OK(kmrefd(cell));
#endif
        IS(kmrefd(cell), kmcond_bad_address);
    }
    OK(kmrefa_in(&cell, &lin->id, 10));
    OK(kmlinx(lin));
    IS(kmrefd(cell), kmcond_bad_address);
    OK(kmheapx(heap));
    OK(kmpoolx(pool));
    OK(kmtreex(tree));
    IS(kmrefa_in(&cell, NULL, 10), kmcond_bad_address);
}

static void statics(void) {
    unsigned char bytes[32];
    memset(bytes, 9, sizeof bytes);
    kmptr ptr = kmstat(bytes);
    CHECK(ptr.kind == kmkind_none && ptr.ref == bytes && ptr.size == SIZE_MAX);
    OK(kmfree(ptr));
    CHECK(all_bytes(bytes, 9, 32));
    IS(kmozero(ptr), kmcond_bad_size);
    kmptr copy = ptr;
    IS(kmdup(&copy, ptr), kmcond_bad_size);
    ptr = kmstatn(bytes, 16);
    IS(kmdup(&copy, ptr), kmcond_mismatch);
    CHECK(copy.kind == kmkind_fail);
    OK(kmozero(ptr));
    CHECK(all_bytes(bytes, 0, 16) && all_bytes(bytes + 16, 9, 16));
#ifdef KFmem_shred
    IS(kmshred(kmstat(bytes)), kmcond_bad_size);
    OK(kmshred(kmstatn(bytes, 20)));
    CHECK(all_bytes(bytes, 0, 20) && all_bytes(bytes + 20, 9, 12));
    ptr = kmstatn(bytes, 32);
    OK(kmtaint(&ptr));
    CHECK(ptr.shred == kmshred_yes);
    OK(kmfree(ptr));
    CHECK(all_bytes(bytes, 0, 32));
#endif
    memset(bytes, 9, sizeof bytes);
    OK(kmzero(bytes, 5));
    CHECK(all_bytes(bytes, 0, 5) && bytes[5] == 9);
    OK(kmcopy(bytes + 1, bytes + 4, 20));
    CHECK(bytes[1] == 0 && bytes[2] == 9);
    IS(kmzero(NULL, 5), kmcond_bad_address);
    IS(kmcopy(NULL, bytes, 5), kmcond_bad_address);
    IS(kmcopy(bytes, NULL, 5), kmcond_bad_address);
}

static void copies(void) {
    kmptr ptr, copy;
    kmlin *lin;
    kmpool *pool;
    OK(kmlini(&lin, 0));
    OK(kmpooli(&pool, 24, 0));
    for (int kind = 0; kind < 5; kind++) {
        if (kind == 0) OK(kmheapo(&ptr, 24));
        if (kind == 1) OK(kmlino(&ptr, lin, 24));
        if (kind == 2) OK(kmpoolo(&ptr, pool));
        if (kind == 3) OK(kmrefo(&ptr, 24));
        if (kind == 4) OK(kmtreeo(&ptr, NULL, 24));
        memset(ptr.ref, 0x5a, 24);
#ifdef KFmem_shred
        OK(kmtaint(&ptr));
#endif
        OK(kmdup(&copy, ptr));
        CHECK(copy.ref != ptr.ref && copy.kind == ptr.kind && copy.cell == ptr.cell && copy.size == 24);
        CHECK(all_bytes(copy.ref, 0x5a, 24));
#ifdef KFmem_shred
        CHECK(copy.shred == kmshred_yes);
#endif
        OK(kmozero(copy));
        CHECK(all_bytes(copy.ref, 0, 24) && all_bytes(ptr.ref, 0x5a, 24));
        OK(kmfree(ptr));
        OK(kmfree(copy));
        IS(kmfree(copy), kmcond_bad_address);
        IS(kmdup(&copy, ptr), kmcond_bad_address);
    }
    OK(kmlinx(lin));
    OK(kmpoolx(pool));
}

#ifdef KFmem_shred
static void taints(void) {
    static union { unsigned char bytes[8192]; long double aligned; } room;
    unsigned char *buffer = room.bytes;
    size_t len = sizeof room.bytes;
    kmpool *pool;
    OK(kmpoolif(&pool, 32, buffer, len));
    void *key;
    OK(kmpoola(&key, pool));
    memset(key, 0x77, 32);
    OK(kmtaintc((kmcell *)(void *)((kmpoolcell *)key - 1)));
    OK(kmpoolf(pool, key));
    CHECK(all_bytes(key, 0, 32));
    OK(kmtaintc(&pool->id));
    OK(kmpoola(&key, pool));
    memset(key, 0x77, 32);
    OK(kmpoolx(pool));
    CHECK(all_bytes(key, 0, 32));

    kmlin *lin;
    OK(kmlinif(&lin, buffer, len));
    OK(kmlina(&key, lin, 32));
    OK(kmtaintc((kmcell *)key - 1));
    memset(key, 0x77, 32);
    OK(kmlinreset(lin));
    CHECK(all_bytes(key, 0, 32));
    OK(kmlinx(lin));

    void *node;
    OK(kmtreea(&node, NULL, 32));
    kmnode *header;
    OK(kmtreen(&header, node));
    OK(kmtaintc(&header->id));
    CHECK(header->id.shred);
    OK(kmtreef(node));

    void *cell;
    OK(kmrefa(&cell, 32));
    OK(kmtaintc(&((kmref *)cell - 1)->id));
    CHECK(((kmref *)cell - 1)->id.shred);
    OK(kmrefd(cell));
    IS(kmtaintc(NULL), kmcond_bad_address);
}
#endif

static void stores_in_stores(void) {
    kmheap *heap;
    kmlin *lin;
    kmpool *pool;
    kmtree *tree;
    void *cell, *node;
    OK(kmheapi(&heap));
    OK(kmlini_in(&lin, &heap->id, 4000));
    OK(kmpooli_in(&pool, &lin->id, 32, 4));
    OK(kmtreei_in(&tree, &heap->id));
    IS(kmheapx(heap), kmcond_in_use);
    IS(kmlinx(lin), kmcond_in_use);
    IS(kmlinreset(lin), kmcond_in_use);
    OK(kmpoola(&cell, pool));
    OK(kmtreea(&node, kmtreeroot(tree), 10));
    memset(node, 1, 10);
    IS(kmheapf(cell), kmcond_mismatch);
    IS(kmheapf(node), kmcond_mismatch);
    IS(kmheapf(lin), kmcond_bad_address);
    IS(kmheapf_in(heap, lin), kmcond_bad_address);
    IS(kmpoolf(pool, node), kmcond_bad_address);
    /* A mark that was taken before the pool stands in the way of nothing else, but of the pool. */
    kmmark mark;
    OK(kmlinmark(&mark, lin));
    void *more;
    OK(kmlina(&more, lin, 64));
    OK(kmlinrewind(lin, mark));
    OK(kmlinmark(&mark, lin));
    kmpool *second;
    OK(kmpooli_in(&second, &lin->id, 32, 4));
    IS(kmlinrewind(lin, mark), kmcond_in_use);
    OK(kmpoolx(second));
    OK(kmpoolx(pool));
    OK(kmlinrewind(lin, mark));
    OK(kmlinx(lin));
    OK(kmtreer(&node, 3000));
    CHECK(all_bytes(node, 1, 10));
    OK(kmtreef(node));
    IS(kmtreef(node), kmcond_bad_address);
    OK(kmtreex(tree));
    OK(kmheapx(heap));

    /* A tree in a tree in a tree, and what may stand in the innermost. */
    kmtree *trees[9];
    OK(kmtreei(&trees[0]));
    for (int i = 1; i < 9; i++) OK(kmtreei_in(&trees[i], &trees[i - 1]->id));
    kmtree *one_more = NULL;
    IS(kmtreei_in(&one_more, &trees[8]->id), kmcond_too_many);
    void *deep, *counted, *none;
    OK(kmtreea(&deep, kmtreeroot(trees[8]), 10));
    OK(kmrefa_in(&counted, &trees[8]->id, 0));
    OK(kmrefa_in(&none, &trees[3]->id, 0));
    OK(kmlini_in(&lin, &trees[8]->id, 0));
    OK(kmlina(&cell, lin, 0));
    for (int i = 0; i < 9; i++) IS(kmtreex(trees[i]), kmcond_in_use);
    IS(kmheapf(deep), kmcond_mismatch);
    IS(kmheapf(counted), kmcond_mismatch);
    OK(kmrefu(none));
    OK(kmrefd(none));
    OK(kmrefd(none));
    OK(kmrefd(counted));
    OK(kmtreef(deep));
    OK(kmlinf(lin, cell));
    OK(kmlinx(lin));
    for (int i = 9; i-- > 0;) OK(kmtreex(trees[i]));

    /* Each kind in each other. */
    for (int host = 0; host < 4; host++) {
        kmheap *h = NULL;
        kmlin *l = NULL;
        kmpool *p = NULL;
        kmtree *t = NULL;
        kmcell *source;
        if (host == 0) OK(kmheapi(&h));
        if (host == 1) OK(kmlini(&l, 0));
        if (host == 2) OK(kmpooli(&p, 4096, 0));
        if (host == 3) OK(kmtreei(&t));
        source = h ? &h->id : l ? &l->id : p ? &p->id : &t->id;
        kmlin *il;
        kmpool *ip;
        kmtree *it, *it2;
        OK(kmlini_in(&il, source, 100));
        OK(kmpooli_in(&ip, source, 16, 4));
        OK(kmtreei_in(&it, source));
        OK(kmtreei_in(&it2, source));
        void *a, *b, *c, *d;
        OK(kmlina(&a, il, 10));
        OK(kmpoola(&b, ip));
        OK(kmtreea(&c, kmtreeroot(it), 10));
        OK(kmtreea(&d, kmtreeroot(it2), 10));
        OK(kmtreename(c, "inner"));
        CHECK(strcmp(kmtreenameof(c), "inner") == 0);
        IS(kmtreef(a), kmcond_mismatch);
        IS(kmtreef(b), kmcond_mismatch);
        IS(kmtreem(c, d), kmcond_mismatch);
        if (h) IS(kmheapx(h), kmcond_in_use);
        if (l) IS(kmlinx(l), kmcond_in_use);
        if (p) IS(kmpoolx(p), kmcond_in_use);
        if (t) {
            IS(kmtreex(t), kmcond_in_use);
            IS(kmtreef(kmtreeroot(t)), kmcond_in_use);
            IS(kmtreefc(kmtreeroot(t)), kmcond_in_use);
        }
        OK(kmlinf(il, a));
        OK(kmpoolf(ip, b));
        OK(kmtreef(c));
        OK(kmlinx(il));
        OK(kmpoolx(ip));
        OK(kmtreex(it));
        OK(kmtreex(it2));
        if (h) OK(kmheapx(h));
        if (l) OK(kmlinx(l));
        if (p) OK(kmpoolx(p));
        if (t) OK(kmtreex(t));
    }
}

struct seen {
    int spans, used, stop_after;
    size_t bytes, refs;
    const char *name;
    kmcell *store;
};

static int see(const kmspan *span, void *ctx) {
    struct seen *seen = (struct seen *)ctx;
    seen->spans++;
    if (span->state == kmstate_used) {
        seen->used++;
        seen->bytes += span->size;
        if (span->refs) seen->refs = span->refs;
        if (span->name) seen->name = span->name;
    }
    if (seen->store) {
        void *more;
        kmlin *lin = (kmlin *)seen->store;
        IS(kmlinx(lin), kmcond_in_use);
        IS(kmlinreset(lin), kmcond_in_use);
        (void)more;
    }
    return seen->stop_after && seen->spans >= seen->stop_after;
}

static void walks(void) {
    kmlin *lin;
    void *cell;
    OK(kmlini(&lin, 0));
    OK(kmlina(&cell, lin, 20));
    OK(kmlina(&cell, lin, 30));
    OK(kmrefa_in(&cell, &lin->id, 8));
    OK(kmrefu(cell));
    struct seen seen = {0, 0, 0, 0, 0, NULL, &lin->id};
    OK(kmwalk(&lin->id, see, &seen));
    CHECK(seen.used == 3 && seen.refs == 2);
    struct seen stops = {0, 0, 2, 0, 0, NULL, NULL};
    OK(kmwalk(&lin->id, see, &stops));
    CHECK(stops.spans == 2);
    IS(kmwalk(&lin->id, NULL, NULL), kmcond_bad_address);
    OK(kmlinx(lin));
    IS(kmwalk(&lin->id, see, &seen), kmcond_bad_address);

    kmtree *tree;
    void *node;
    OK(kmtreei(&tree));
    OK(kmtreea(&node, kmtreeroot(tree), 24));
    OK(kmtreename(node, "request"));
    struct seen nodes = {0, 0, 0, 0, 0, NULL, NULL};
    OK(kmwalk(&tree->id, see, &nodes));
    CHECK(nodes.used == 2 && nodes.name && strcmp(nodes.name, "request") == 0);
    OK(kmtreex(tree));
}

int main(void) {
    structs();
    heaps();
    lins();
    pools();
    counted();
    statics();
    copies();
#ifdef KFmem_shred
    taints();
#endif
    stores_in_stores();
    walks();
    printf("kinds: %d checks\n", checks);
    return 0;
}
