/* Stores that stand in other stores, or in cells of theirs: what holds them cannot go, nor be used again. */
#include <pthread.h>

#include "children.h"

/* A region is not rewound over what another store has in it. */
static void a_node_that_moved(void) {
    kmlin *lin;
    kmtree *tree;
    kmmark mark, later;
    void *node, *cell;
    OK(kmlini(&lin, 1 << 16));
    OK(kmtreei_in(&tree, &lin->id));
    OK(kmtreea(&node, kmtreeroot(tree), 64));
    OK(kmlinmark(&mark, lin));
    OK(kmlina(&cell, lin, 10));
    OK(kmtreer(&node, 3000));
    memset(node, 7, 3000);
    IS(kmlinrewind(lin, mark), kmcond_in_use);
    OK(kmlinmark(&later, lin));
    OK(kmlina(&cell, lin, 5000));
    OK(kmlinrewind(lin, later));
    OK(kmlina(&cell, lin, 5000));
    memset(cell, 8, 5000);
    CHECK(all_bytes(node, 7, 3000));
    OK(kmtreef(node));
    OK(kmtreex(tree));
    OK(kmlinrewind(lin, mark));
    OK(kmlinx(lin));
}

static void bytes_in_a_region(void) {
    kmlin *lin;
    kmheap *heap;
    kmmark mark;
    void *bytes, *cell;
    OK(kmlini(&lin, 1 << 16));
    OK(kmlinmark(&mark, lin));
    OK(kmlina(&bytes, lin, 8192));
    OK(kmheapif(&heap, bytes, 8192));
    IS(kmlinx(lin), kmcond_in_use);
    IS(kmlinreset(lin), kmcond_in_use);
    IS(kmlinrewind(lin, mark), kmcond_in_use);
    OK(kmheapa_in(&cell, heap, 100));
    OK(kmheapf(cell));
    OK(kmheapx(heap));
    OK(kmlinrewind(lin, mark));
    OK(kmlinx(lin));
}

/* Of a host that is walked, or whose guard is asked, no guest goes. */
static kmtree *tree;
static kmlin *lin;
static kmpool *pool;
static void *node;
static int looks;

static void let_go(void) {
    looks++;
    IS(kmtreef(node), kmcond_in_use);
    IS(kmtreefc(kmtreeroot(tree)), kmcond_in_use);
    IS(kmtreex(tree), kmcond_in_use);
    IS(kmlinx(lin), kmcond_in_use);
    IS(kmpoolx(pool), kmcond_in_use);
}

static int look(const kmspan *span, void *ctx) {
    (void)span;
    (void)ctx;
    let_go();
    return 1;
}

static int ask(void *cell, void *ctx) {
    (void)cell;
    (void)ctx;
    let_go();
    return 1;
}

static void move_in(kmcell *host) {
    OK(kmtreei_in(&tree, host));
    OK(kmlini_in(&lin, host, 0));
    OK(kmpooli_in(&pool, host, 16, 0));
    OK(kmtreea(&node, kmtreeroot(tree), 64));
}

static void move_out(void) {
    OK(kmtreef(node));
    OK(kmtreex(tree));
    OK(kmlinx(lin));
    OK(kmpoolx(pool));
    CHECK(looks > 0);
}

static void a_host_that_is_walked(void) {
    kmheap *heap;
    OK(kmheapi(&heap));
    move_in(&heap->id);
    OK(kmwalk(&heap->id, look, NULL));
    move_out();
    OK(kmheapx(heap));
}

static void a_tree_that_is_walked(void) {
    kmtree *host;
    void *guarded;
    OK(kmtreei(&host));
    move_in(&host->id);
    OK(kmwalk(&host->id, look, NULL));
    OK(kmtreereport(kmtreeroot(host), look, NULL));
    OK(kmtreea(&guarded, kmtreeroot(host), 10));
    OK(kmtreeguard(guarded, ask, NULL));
    IS(kmtreef(guarded), kmcond_in_use);
    CHECK(looks == 3);
    OK(kmtreeguard(guarded, NULL, NULL));
    move_out();
    OK(kmtreex(host));
}

/* A destructor may do so. */
static void end(void *cell, void *ctx) {
    (void)cell;
    (void)ctx;
    looks++;
    move_out();
}

static void a_destructor_in_the_host(void) {
    kmtree *host;
    void *going;
    OK(kmtreei(&host));
    move_in(&host->id);
    OK(kmtreea(&going, kmtreeroot(host), 10));
    OK(kmtreeon(going, end, NULL));
    OK(kmtreef(going));
    CHECK(looks == 1);
    OK(kmtreex(host));
}

/* A cell in which a store was made neither goes nor moves before the store, whatever has the cell. */
static kmheap *fixed;

static void make_in(void *bytes) {
    OK(kmheapif(&fixed, (char *)bytes + 100, 2000));
}

/* What no call may have changed. */
static void still_there(void) {
    void *cell;
    OK(kmheapa_in(&cell, fixed, 100));
    OK(kmheapf(cell));
    OK(kmheapx(fixed));
}

static kmptr pointer(unsigned kind, void *cell) {
    kmptr ptr = kmstatn(cell, 4096);
    ptr.kind = (uint8_t)kind;
    return ptr;
}

static void held(unsigned kind, void *cell) {
    IS(kmfree(pointer(kind, cell)), kmcond_in_use);
#ifdef KFmem_shred
    IS(kmshred(pointer(kind, cell)), kmcond_in_use);
#endif
}

static void a_cell_of_a_heap(kmheap *heap) {
    void *cell, *place, *other;
    if (heap) OK(kmheapa_in(&cell, heap, 4096));
    else OK(kmheapa(&cell, 4096));
    OK(kmheapa(&other, 4096));
    place = cell;
    make_in(cell);
    held(kmkind_heap, cell);
    IS(kmozero(pointer(kmkind_heap, cell)), kmcond_in_use);
    IS(kmheapf(cell), kmcond_in_use);
    IS(kmheapr(&place, 10), kmcond_in_use);
    IS(kmheapr(&place, 100000), kmcond_in_use);
    if (heap) IS(kmheapf_in(heap, cell), kmcond_in_use);
    if (heap) IS(kmheapr_in(&place, heap, 100000), kmcond_in_use);
    if (heap) IS(kmheapx(heap), kmcond_in_use);
#ifdef KFmem_shred
    IS(kmheaps(cell), kmcond_in_use);
    if (heap) IS(kmheaps_in(heap, cell), kmcond_in_use);
#endif
    CHECK(place == cell);
    OK(kmheapf(other));
    still_there();
    OK(kmheapf(cell));
    IS(kmheapf(cell), kmcond_bad_address);
}

static void cells_of_heaps(void) {
    kmheap *heap;
    OK(kmheapi(&heap));
    a_cell_of_a_heap(heap);
    a_cell_of_a_heap(NULL);
    OK(kmheapx(heap));
}

static void cells_of_regions_and_pools(void) {
    kmlin *lin;
    kmpool *pool;
    void *cell, *place, *other;
    OK(kmlini(&lin, 0));
    OK(kmlina(&cell, lin, 4096));
    place = cell;
    make_in(cell);
    held(kmkind_lin, cell);
    IS(kmozero(pointer(kmkind_lin, cell)), kmcond_in_use);
    IS(kmlinf(lin, cell), kmcond_in_use);
    IS(kmlinr(&place, lin, 100000), kmcond_in_use);
    IS(kmlinr(&place, lin, 10), kmcond_in_use);
#ifdef KFmem_shred
    IS(kmlins(lin, cell), kmcond_in_use);
#endif
    CHECK(place == cell);
    OK(kmlina(&other, lin, 4096));
    OK(kmlinf(lin, other));
    still_there();
    OK(kmlinf(lin, cell));
    OK(kmlinx(lin));
    OK(kmpooli(&pool, 4096, 2));
    OK(kmpoola(&cell, pool));
    OK(kmpoola(&other, pool));
    make_in(cell);
    held(kmkind_pool, cell);
    IS(kmozero(pointer(kmkind_pool, cell)), kmcond_in_use);
    IS(kmpoolf(pool, cell), kmcond_in_use);
    IS(kmpoolx(pool), kmcond_in_use);
#ifdef KFmem_shred
    IS(kmpools(pool, cell), kmcond_in_use);
#endif
    OK(kmpoolf(pool, other));
    still_there();
    OK(kmpoolf(pool, cell));
    OK(kmpoolx(pool));
}

static void a_counted_cell(kmcell *source) {
    void *cell;
    if (source) OK(kmrefa_in(&cell, source, 4096));
    else OK(kmrefa(&cell, 4096));
    make_in(cell);
    held(kmkind_ref, cell);
    IS(kmozero(pointer(kmkind_ref, cell)), kmcond_in_use);
    OK(kmrefu(cell));
    OK(kmrefd(cell));
    IS(kmrefd(cell), kmcond_in_use);
    IS(kmreff(cell), kmcond_in_use);
#ifdef KFmem_shred
    IS(kmrefs(cell), kmcond_in_use);
#endif
    still_there();
    OK(kmrefd(cell));
}

static void counted_cells(void) {
    kmpool *host;
    kmtree *trees;
    OK(kmpooli(&host, 8192, 2));
    OK(kmtreei(&trees));
    a_counted_cell(NULL);
    a_counted_cell(&host->id);
    a_counted_cell(&trees->id);
    OK(kmpoolx(host));
    OK(kmtreex(trees));
}

static void run_if_released(void *cell, void *ctx) {
    (void)cell;
    (void)ctx;
    looks++;
}

/* A node, and what it is below. */
static void a_node(kmtree *of) {
    void *above, *cell, *place, *other;
    OK(kmtreea(&above, kmtreeroot(of), 64));
    OK(kmtreea(&cell, above, 4096));
    OK(kmtreea(&other, above, 4096));
    OK(kmtreeon(above, run_if_released, NULL));
    place = cell;
    for (int round = 0; round < 2; round++) {
        make_in(cell);
        held(kmkind_tree, cell);
        held(kmkind_tree, above);
        IS(kmozero(pointer(kmkind_tree, cell)), kmcond_in_use);
        /* What is below a node is not zeroed with it; but a destructor's bytes are not. */
        IS(kmozero(pointer(kmkind_tree, above)), round == 0 ? kmcond_mismatch : kmcond_ok);
        IS(kmtreef(cell), kmcond_in_use);
        IS(kmtreef(above), kmcond_in_use);
        IS(kmtreefc(above), kmcond_in_use);
        IS(kmtreefc(kmtreeroot(of)), kmcond_in_use);
        IS(kmtreef(kmtreeroot(of)), kmcond_in_use);
        IS(kmtreer(&place, 10), kmcond_in_use);
        IS(kmtreer(&place, 100000), kmcond_in_use);
        IS(kmtreex(of), kmcond_in_use);
#ifdef KFmem_shred
        IS(kmtrees(cell), kmcond_in_use);
        IS(kmtrees(above), kmcond_in_use);
#endif
        CHECK(place == cell && looks == 0);
        /* Others may. */
        OK(kmtreer(&other, 5000));
        OK(kmtreef(other));
        OK(kmtreea(&other, above, 4096));
        OK(kmtreem(cell, kmtreeroot(of)));
        OK(kmtreem(cell, above));
        still_there();
        /* Again where no code is to be run. */
        if (round == 0) OK(kmtreeoff(above, run_if_released, NULL));
    }
    OK(kmtreef(above));
}

static void nodes(void) {
    static union { unsigned char bytes[65536]; long double aligned; } room;
    kmtree *own, *in_bytes, *guest, *inner;
    kmheap *heap;
    OK(kmtreei(&own));
    a_node(own);
    OK(kmtreeif(&in_bytes, room.bytes, sizeof room.bytes));
    a_node(in_bytes);
    OK(kmheapi(&heap));
    OK(kmtreei_in(&guest, &heap->id));
    a_node(guest);
    OK(kmtreei_in(&inner, &guest->id));
    a_node(inner);
    OK(kmtreex(inner));
    OK(kmtreex(guest));
    OK(kmheapx(heap));
    OK(kmtreex(in_bytes));
    OK(kmtreei_in(&inner, &own->id));
    a_node(inner);
    OK(kmtreex(inner));
    OK(kmtreex(own));
}

/* However many are made in each other, a small stack will do. */
static void *nest(void *unused) {
    (void)unused;
    kmlin *all[1000];
    void *cell;
    int depth = 1;
    OK(kmlini(&all[0], 0));
    for (; depth < 1000; depth++) {
        kmcond cond = kmlini_in(&all[depth], &all[depth - 1]->id, 0);
        if (cond == kmcond_too_many) break;
        CHECK(cond == kmcond_ok);
    }
    CHECK(depth >= 8);
    for (int i = 0; i < 100; i++) OK(kmlina(&cell, all[depth - 1], 5000));
    IS(kmtreei_in(&tree, &all[depth - 1]->id), kmcond_too_many);
    OK(kmtreei_in(&tree, &all[depth - 2]->id));
    OK(kmtreea(&cell, kmtreeroot(tree), 5000));
    OK(kmtreex(tree));
    while (depth-- > 0) OK(kmlinx(all[depth]));
    return NULL;
}

static void many_in_each_other(void) {
    pthread_attr_t small;
    pthread_t thread;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 1 << 16) == 0);
    CHECK(pthread_create(&thread, &small, nest, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

/* In a destructor, what is going still has its name, wherever its tree is; so has what is below it. */
static void *named, *below;

static void read_names(void *cell, void *ctx) {
    (void)ctx;
    looks++;
    CHECK(cell == named && strcmp(kmtreenameof(named), "named") == 0 && strcmp(kmtreenameof(below), "below") == 0);
    OK(kmtreetype(named, "named"));
    IS(kmtreetype(named, "below"), kmcond_mismatch);
    CHECK(!kmtreenameof((char *)named + 16) && !kmtreenameof((char *)named - 16));
    CHECK(kmnodedata(KMNODE(named)) == named);
    IS(kmtreename(named, "other"), kmcond_in_use);
}

static void names_in(kmtree *of) {
    looks = 0;
    OK(kmtreea(&named, kmtreeroot(of), 40));
    OK(kmtreea(&below, named, 40));
    OK(kmtreename(named, "named"));
    OK(kmtreename(below, "below"));
    OK(kmtreeon(named, read_names, NULL));
    OK(kmtreef(named));
    CHECK(looks == 1 && !kmtreenameof(named));
}

static void names(void) {
    static union { unsigned char bytes[8192]; long double aligned; } room;
    kmtree *of, *host;
    kmheap *heap;
    kmpool *cells;
    OK(kmtreei(&host));
    names_in(host);
    OK(kmtreei_in(&of, &host->id));
    names_in(of);
    OK(kmtreex(of));
    OK(kmtreex(host));
    OK(kmtreeif(&host, room.bytes, sizeof room.bytes));
    names_in(host);
    OK(kmtreei_in(&of, &host->id));
    names_in(of);
    OK(kmtreex(of));
    OK(kmtreex(host));
    OK(kmheapi(&heap));
    OK(kmtreei_in(&host, &heap->id));
    names_in(host);
    OK(kmtreei_in(&of, &host->id));
    names_in(of);
    OK(kmtreex(of));
    OK(kmtreex(host));
    OK(kmheapx(heap));
    OK(kmlini(&lin, 0));
    OK(kmtreei_in(&host, &lin->id));
    names_in(host);
    OK(kmtreex(host));
    OK(kmlinx(lin));
    OK(kmpooli(&cells, 512, 0));
    OK(kmtreei_in(&host, &cells->id));
    names_in(host);
    OK(kmtreex(host));
    OK(kmpoolx(cells));
}

/* A cell right behind one in which a store was made, to its last byte, is nothing of that store's. */
static void neighbours(void) {
    enum { LEN = 8192, CELLS = 16 };
    void *cells[CELLS], *place;
    kmheap *held[CELLS];
    int i, other, meet = 0;
    for (i = 0; i < CELLS; i++) OK(kmheapa(&cells[i], LEN));
    for (i = 0; i < CELLS; i++) OK(kmheapif(&held[i], cells[i], LEN));
    for (i = 0; i < CELLS; i++) {
        /* Every other, so that there are stores on either side. */
        int at = i * 2 % CELLS + i * 2 / CELLS;
        for (other = 0; other < CELLS; other++) meet += (char *)cells[other] + LEN == cells[at];
        place = cells[at];
        IS(kmheapr(&place, 10), kmcond_in_use);
        IS(kmfree(pointer(kmkind_heap, cells[at])), kmcond_in_use);
        IS(kmtreef(cells[at]), kmcond_mismatch);
        OK(kmheapx(held[at]));
        OK(kmheapr(&place, LEN - 1));
        OK(kmfree(pointer(kmkind_heap, place)));
        IS(kmfree(pointer(kmkind_heap, place)), kmcond_bad_address);
    }
    CHECK(meet > 0);
}

static const struct child cases[] = {
    {"a node that moved", a_node_that_moved},
    {"bytes in a region", bytes_in_a_region},
    {"a host that is walked", a_host_that_is_walked},
    {"a tree that is walked", a_tree_that_is_walked},
    {"a destructor in the host", a_destructor_in_the_host},
    {"cells of heaps", cells_of_heaps},
    {"cells of regions and pools", cells_of_regions_and_pools},
    {"counted cells", counted_cells},
    {"nodes", nodes},
    {"many in each other", many_in_each_other},
    {"names", names},
    {"neighbours", neighbours},
};

int main(void) {
    return run_children("guests", cases, (int)(sizeof cases / sizeof *cases), nothing, nothing) > 0;
}
