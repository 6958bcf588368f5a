/* Stores that stand in other stores, or in cells of theirs: what holds them cannot go, nor be used again. */
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

static const struct child cases[] = {
    {"a node that moved", a_node_that_moved},
    {"bytes in a region", bytes_in_a_region},
    {"a host that is walked", a_host_that_is_walked},
    {"a tree that is walked", a_tree_that_is_walked},
    {"a destructor in the host", a_destructor_in_the_host},
};

int main(void) {
    return run_children("guests", cases, (int)(sizeof cases / sizeof *cases), nothing, nothing) > 0;
}
