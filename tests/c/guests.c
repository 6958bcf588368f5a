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

static const struct child cases[] = {
    {"a node that moved", a_node_that_moved},
    {"bytes in a region", bytes_in_a_region},
};

int main(void) {
    return run_children("guests", cases, (int)(sizeof cases / sizeof *cases), nothing, nothing) > 0;
}
