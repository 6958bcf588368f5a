/*
 * Each misuse in a process of its own: it is refused with the right condition, changes nothing, and whoever did it can
 * go on.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/mman.h>

#include "children.h"

/* Addresses at which there is no cell of anybody's. */
static void *wild[10];
static int wilds;

static void find_wild(void) {
    static unsigned char bytes[64];
    unsigned char local[64];
    long page = sysconf(_SC_PAGESIZE);
    char *pages = (char *)mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != (char *)MAP_FAILED);
    /* The middle one can be read, and what would be a header in front of it cannot. */
    CHECK(mprotect(pages, page, PROT_NONE) == 0 && mprotect(pages + 2 * page, page, PROT_NONE) == 0);
    char *others = (char *)malloc(64);
    CHECK(others != NULL);
    wild[wilds++] = NULL;
    wild[wilds++] = bytes + 32;
    wild[wilds++] = local + 32;
    wild[wilds++] = others + 32;
    wild[wilds++] = pages + page;
    wild[wilds++] = pages + 2 * page;
    wild[wilds++] = (void *)(uintptr_t)0x8000000000000010u;
    wild[wilds++] = (void *)(uintptr_t)0xfffffffffffffff0u;
    wild[wilds++] = (void *)(uintptr_t)16;
    wild[wilds++] = (void *)(uintptr_t)0x123456789abcu;
}

/* One of each. */
static void *heap_cell, *ref_cell, *node, *child, *lin_cell, *newer, *pool_cell, *own_cell, *fixed_node, *guest_node;
static kmheap *heap;
static kmlin *lin;
static kmpool *pool;
static kmtree *fixed_tree, *guest_tree, *own_tree;

static void set_up(void) {
    find_wild();
    static union { unsigned char bytes[8192]; long double aligned; } room;
    OK(kmheapi(&heap));
    OK(kmlini(&lin, 0));
    OK(kmpooli(&pool, 64, 0));
    OK(kmtreei(&own_tree));
    OK(kmtreeif(&fixed_tree, room.bytes, sizeof room.bytes));
    OK(kmtreei_in(&guest_tree, &heap->id));
    OK(kmheapa(&heap_cell, 64));
    OK(kmrefa(&ref_cell, 64));
    OK(kmtreea(&node, NULL, 64));
    OK(kmtreea(&child, node, 64));
    OK(kmlina(&lin_cell, lin, 64));
    OK(kmlina(&newer, lin, 64));
    OK(kmpoola(&pool_cell, pool));
    OK(kmheapa_in(&own_cell, heap, 64));
    OK(kmtreea(&fixed_node, kmtreeroot(fixed_tree), 64));
    OK(kmtreea(&guest_node, kmtreeroot(guest_tree), 64));
}

/* And all of it can be used and released as ever. */
static void tear_down(void) {
    OK(kmheapf(heap_cell));
    OK(kmrefu(ref_cell));
    OK(kmrefd(ref_cell));
    OK(kmrefd(ref_cell));
    OK(kmtreer(&child, 200));
    OK(kmtreef(node));
    OK(kmlinf(lin, newer));
    OK(kmlinf(lin, lin_cell));
    OK(kmpoolf(pool, pool_cell));
    OK(kmheapf_in(heap, own_cell));
    OK(kmtreef(fixed_node));
    OK(kmtreef(guest_node));
    OK(kmtreex(guest_tree));
    OK(kmtreex(fixed_tree));
    OK(kmtreex(own_tree));
    OK(kmheapx(heap));
    OK(kmlinx(lin));
    OK(kmpoolx(pool));
}

/* Every function that takes an untyped pointer refuses one so. */
static void refuse(void *pointer, kmcond cond) {
    void *place = pointer;
    kmnode *header = NULL;
    IS(kmheapf(pointer), cond);
    IS(kmheapr(&place, 10), cond);
    IS(kmrefu(pointer), cond);
    IS(kmrefd(pointer), cond);
    IS(kmreff(pointer), cond);
    IS(kmtreef(pointer), cond);
    IS(kmtreer(&place, 10), cond);
    IS(kmtreefc(pointer), cond);
    IS(kmtreem(pointer, NULL), cond);
    IS(kmtreem(node, pointer), pointer ? cond : kmcond_ok);
    IS(kmtreen(&header, pointer), cond);
    IS(kmtreename(pointer, "name"), cond);
    IS(kmtreetype(pointer, "name"), cond);
    IS(kmtreequota(pointer, 5), cond);
    IS(kmtreeguard(pointer, NULL, NULL), cond);
#ifdef KFmem_shred
    IS(kmheaps(pointer), cond);
    IS(kmrefs(pointer), cond);
    IS(kmtrees(pointer), cond);
#endif
    if (pointer) IS(kmtreea(&place, pointer, 10), cond);
    CHECK(place == pointer && header == NULL && kmtreenameof(pointer) == NULL);
    for (unsigned kind = 1; kind <= 5; kind++) {
        kmptr ptr = kmstatn(pointer, 10);
        ptr.kind = (uint8_t)kind;
        IS(kmfree(ptr), cond);
        IS(kmozero(ptr), cond);
        kmptr copy = ptr;
        IS(kmdup(&copy, ptr), cond);
        CHECK(copy.kind == kmkind_fail);
#ifdef KFmem_shred
        IS(kmshred(ptr), cond);
        IS(kmtaint(&ptr), cond);
        CHECK(ptr.shred == 0);
#endif
    }
}

static void refuse_in(void *pointer, kmcond cond) {
    void *place = pointer;
    IS(kmheapf_in(heap, pointer), cond);
    IS(kmheapr_in(&place, heap, 10), cond);
    IS(kmlinf(lin, pointer), cond);
    IS(kmlinr(&place, lin, 10), cond);
    IS(kmpoolf(pool, pointer), cond);
    IS(kmpoolr(&place, pool, 10), cond);
#ifdef KFmem_shred
    IS(kmheaps_in(heap, pointer), cond);
    IS(kmlins(lin, pointer), cond);
    IS(kmpools(pool, pointer), cond);
#endif
    CHECK(place == pointer);
}

static void foreign(void) {
    for (int i = 0; i < wilds; i++) {
        refuse(wild[i], kmcond_bad_address);
        refuse_in(wild[i], kmcond_bad_address);
    }
}

static void foreign_as_a_store(void) {
    void *cell = NULL, *into[] = {heap_cell, ref_cell, node, lin_cell, pool_cell, own_cell, (char *)heap + 16, lin + 1};
    for (int i = 0; i < wilds + 8; i++) {
        void *store = i < wilds ? wild[i] : into[i - wilds];
        kmmark mark = {store, 1};
        IS(kmheapa_in(&cell, (kmheap *)store, 8), kmcond_bad_address);
        IS(kmheapx((kmheap *)store), kmcond_bad_address);
        IS(kmlina(&cell, (kmlin *)store, 8), kmcond_bad_address);
        IS(kmlinmark(&mark, (kmlin *)store), kmcond_bad_address);
        IS(kmlinrewind((kmlin *)store, mark), kmcond_bad_address);
        IS(kmlinrewind(lin, mark), kmcond_bad_address);
        IS(kmlinreset((kmlin *)store), kmcond_bad_address);
        IS(kmlinx((kmlin *)store), kmcond_bad_address);
        IS(kmpoola(&cell, (kmpool *)store), kmcond_bad_address);
        IS(kmpoolx((kmpool *)store), kmcond_bad_address);
        IS(kmtreex((kmtree *)store), kmcond_bad_address);
        IS(kmrefa_in(&cell, (kmcell *)store, 8), kmcond_bad_address);
        kmlin *inner = NULL;
        IS(kmlini_in(&inner, (kmcell *)store, 8), kmcond_bad_address);
        kmptr ptr = kmstatn(pool_cell, 64);
        ptr.kind = kmkind_pool;
        ptr.cell = (kmcell *)store;
        if (store) IS(kmfree(ptr), kmcond_bad_address);
        CHECK(cell == NULL && inner == NULL && kmtreeroot((kmtree *)store) == NULL);
    }
}

static void a_store_of_another_kind(void) {
    void *cell = NULL;
    IS(kmheapa_in(&cell, (kmheap *)lin, 8), kmcond_mismatch);
    IS(kmlina(&cell, (kmlin *)pool, 8), kmcond_mismatch);
    IS(kmpoola(&cell, (kmpool *)heap), kmcond_mismatch);
    IS(kmheapx((kmheap *)own_tree), kmcond_mismatch);
    IS(kmlinx((kmlin *)heap), kmcond_mismatch);
    IS(kmpoolx((kmpool *)lin), kmcond_mismatch);
    IS(kmtreex((kmtree *)pool), kmcond_mismatch);
    kmptr ptr = kmstatn(pool_cell, 64);
    ptr.kind = kmkind_lin;
    ptr.cell = &pool->id;
    IS(kmfree(ptr), kmcond_mismatch);
    ptr.kind = kmkind_pool;
    ptr.cell = &lin->id;
    IS(kmfree(ptr), kmcond_mismatch);
    ptr.cell = &pool->id;
    ptr.ref = lin_cell;
    IS(kmfree(ptr), kmcond_bad_address);
}

static void inside_of_cells(void) {
    void *cells[] = {heap_cell, ref_cell, node, child, lin_cell, pool_cell, own_cell, fixed_node, guest_node};
    static const int offsets[] = {1, 7, 8, 16, 32, 48, 63, -1, -8, -16};
    for (int i = 0; i < 9; i++) {
        for (int j = 0; j < 10; j++) refuse((char *)cells[i] + offsets[j], kmcond_bad_address);
    }
    for (int j = 0; j < 10; j++) {
        refuse_in((char *)own_cell + offsets[j], kmcond_bad_address);
        refuse_in((char *)lin_cell + offsets[j], kmcond_bad_address);
        refuse_in((char *)pool_cell + offsets[j], kmcond_bad_address);
    }
}

/* A payload may hold anything: a header that looks like a live cell's too. */
static void what_looks_like_a_header(void) {
    void *outer;
    OK(kmtreea(&outer, NULL, 512));
    memcpy(outer, KMNODE(node), sizeof(kmnode));
    refuse((char *)outer + sizeof(kmnode), kmcond_bad_address);
    OK(kmtreef(outer));
    OK(kmheapa(&outer, 512));
    memcpy(outer, KMNODE(node), sizeof(kmnode));
    refuse((char *)outer + sizeof(kmnode), kmcond_bad_address);
    memcpy(outer, (kmref *)ref_cell - 1, sizeof(kmref));
    refuse((char *)outer + sizeof(kmref), kmcond_bad_address);
    memcpy(outer, (char *)heap_cell - 16, 16);
    refuse((char *)outer + 16, kmcond_bad_address);
    OK(kmheapf(outer));
}

static void wrong_kinds(void) {
    IS(kmheapf(node), kmcond_mismatch);
    IS(kmheapf(ref_cell), kmcond_mismatch);
    IS(kmheapf(lin_cell), kmcond_mismatch);
    IS(kmheapf(pool_cell), kmcond_mismatch);
    IS(kmheapf(fixed_node), kmcond_mismatch);
    IS(kmheapf(guest_node), kmcond_mismatch);
    void *others[] = {heap_cell, node, lin_cell, pool_cell, own_cell, fixed_node, guest_node};
    for (int i = 0; i < 7; i++) {
        IS(kmrefd(others[i]), kmcond_mismatch);
        IS(kmrefu(others[i]), kmcond_mismatch);
    }
    void *no_nodes[] = {heap_cell, ref_cell, lin_cell, pool_cell, own_cell}, *place;
    for (int i = 0; i < 5; i++) {
        place = no_nodes[i];
        IS(kmtreef(no_nodes[i]), kmcond_mismatch);
        IS(kmtreer(&place, 5), kmcond_mismatch);
        IS(kmtreem(no_nodes[i], NULL), kmcond_mismatch);
        IS(kmtreem(node, no_nodes[i]), kmcond_mismatch);
        IS(kmtreea(&place, no_nodes[i], 5), kmcond_mismatch);
        IS(kmtreename(no_nodes[i], "x"), kmcond_mismatch);
    }
    place = node;
    IS(kmheapr(&place, 5), kmcond_mismatch);
}

static void kinds_that_are_none(void) {
    for (unsigned kind = 6; kind < 256; kind += 25) {
        kmptr ptr = kmstatn(heap_cell, 64);
        ptr.kind = (uint8_t)kind;
        IS(kmfree(ptr), kmcond_mismatch);
        IS(kmozero(ptr), kmcond_mismatch);
#ifdef KFmem_shred
        ptr.shred = (uint8_t)kind;
        IS(kmshred(ptr), kmcond_mismatch);
        IS(kmtaint(&ptr), kmcond_mismatch);
#endif
    }
    CHECK(*kmstrerror((kmcond)-1) && *kmstrerror((kmcond)0x7fffffff));
}

static void double_frees(void) {
    void *cell;
    OK(kmheapa(&cell, 40));
    OK(kmheapf(cell));
    refuse(cell, kmcond_bad_address);
    OK(kmrefa(&cell, 40));
    OK(kmrefd(cell));
    refuse(cell, kmcond_bad_address);
    OK(kmtreea(&cell, NULL, 40));
    OK(kmtreef(cell));
    refuse(cell, kmcond_bad_address);
    OK(kmtreea(&cell, NULL, 100000));
    OK(kmtreef(cell));
    refuse(cell, kmcond_bad_address);
    OK(kmtreea(&cell, kmtreeroot(fixed_tree), 40));
    OK(kmtreef(cell));
    refuse(cell, kmcond_bad_address);
    OK(kmtreea(&cell, kmtreeroot(guest_tree), 40));
    OK(kmtreef(cell));
    refuse(cell, kmcond_bad_address);
    OK(kmheapa_in(&cell, heap, 40));
    OK(kmheapf_in(heap, cell));
    refuse_in(cell, kmcond_bad_address);
    refuse(cell, kmcond_bad_address);
    OK(kmlina(&cell, lin, 40));
    OK(kmlinf(lin, cell));
    refuse_in(cell, kmcond_bad_address);
    refuse(cell, kmcond_bad_address);
    OK(kmpoola(&cell, pool));
    OK(kmpoolf(pool, cell));
    refuse_in(cell, kmcond_bad_address);
    refuse(cell, kmcond_bad_address);
}

static void a_freed_parent(void) {
    void *roots[] = {NULL, kmtreeroot(own_tree), kmtreeroot(fixed_tree), kmtreeroot(guest_tree)}, *parent, *below;
    for (int i = 0; i < 4; i++) {
        OK(kmtreea(&parent, roots[i], 40));
        OK(kmtreea(&below, parent, 40));
        OK(kmtreef(parent));
        refuse(parent, kmcond_bad_address);
        refuse(below, kmcond_bad_address);
    }
    /* A large one has its pages to itself, which are unmapped when it goes. */
    OK(kmtreea(&parent, NULL, 1 << 20));
    OK(kmtreea(&below, parent, 40));
    OK(kmtreef(parent));
    refuse(parent, kmcond_bad_address);
    refuse(below, kmcond_bad_address);
}

static void an_old_place(void) {
    void *before = child, *next;
    OK(kmtreea(&next, node, 64));
    OK(kmtreer(&child, 5000));
    CHECK(child != before);
    refuse(before, kmcond_bad_address);
    OK(kmtreer(&child, 100000));
    OK(kmtreer(&child, 64));
}

static void a_store_that_is_gone(void) {
    kmheap *h;
    kmlin *l;
    kmpool *p;
    kmtree *t;
    void *a, *b, *c, *d, *e;
    OK(kmheapi(&h));
    OK(kmlini(&l, 0));
    OK(kmpooli(&p, 64, 0));
    OK(kmtreei(&t));
    OK(kmheapa_in(&a, h, 8));
    OK(kmlina(&b, l, 8));
    OK(kmpoola(&c, p));
    OK(kmtreea(&d, kmtreeroot(t), 8));
    OK(kmrefa_in(&e, &h->id, 8));
    OK(kmheapx(h));
    OK(kmlinx(l));
    OK(kmpoolx(p));
    OK(kmtreex(t));
    void *cells[] = {a, b, c, d, e}, *cell = NULL;
    for (int i = 0; i < 5; i++) refuse(cells[i], kmcond_bad_address);
    IS(kmheapa_in(&cell, h, 8), kmcond_bad_address);
    IS(kmlina(&cell, l, 8), kmcond_bad_address);
    IS(kmpoola(&cell, p), kmcond_bad_address);
    IS(kmrefa_in(&cell, &t->id, 8), kmcond_bad_address);
    IS(kmheapx(h), kmcond_bad_address);
    IS(kmlinx(l), kmcond_bad_address);
    IS(kmpoolx(p), kmcond_bad_address);
    IS(kmtreex(t), kmcond_bad_address);
}

/* What runs over the end of a cell overwrites the header behind it. */
static void overrun(void *cell, size_t size, int byte, size_t over) {
    memset((char *)cell + size, byte, over);
}

static void an_overwritten_header(void) {
    static const int bytes[] = {0, 0xaa, 0xff};
    static const size_t overs[] = {1, 8, 16};
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            void *first, *second;
            kmtree *t;
            kmlin *l;
            /* They are left as they are: what is overwritten is lost. */
            OK(kmtreei(&t));
            OK(kmtreea(&first, kmtreeroot(t), 64));
            OK(kmtreea(&second, kmtreeroot(t), 64));
            CHECK((char *)second == (char *)first + 128);
            overrun(first, 64, bytes[i], overs[j]);
            IS(kmtreef(second), kmcond_fail_assert);
            IS(kmtreem(second, NULL), kmcond_fail_assert);
            IS(kmtreea(&first, second, 8), kmcond_fail_assert);
            /* Nor what it is below. */
            IS(kmtreefc(kmtreeroot(t)), kmcond_fail_assert);
            void *third;
            OK(kmtreea(&third, kmtreeroot(t), 8));
            IS(kmtreefc(kmtreeroot(t)), kmcond_fail_assert);
            OK(kmtreef(third));
            OK(kmlini(&l, 0));
            OK(kmlina(&first, l, 64));
            OK(kmlina(&second, l, 64));
            overrun(first, 64, bytes[i], overs[j]);
            IS(kmlinr(&second, l, 600), overs[j] == 1 && bytes[i] == 0 ? kmcond_mismatch : kmcond_fail_assert);
            OK(kmlina(&first, l, 64));
        }
    }
}

/* A host that is looked at takes no block back: its guest's node stays. */
static int frees_a_node(const kmspan *span, void *freed) {
    (void)span;
    if (*(void **)freed) {
        void *cell = *(void **)freed;
        *(void **)freed = NULL;
        IS(kmtreef(cell), kmcond_in_use);
    }
    return 0;
}

static void no_hook(void *cell, void *ctx) {
    (void)cell, (void)ctx;
}

static void a_node_that_its_host_has_not_taken_back(void) {
    kmlin *l;
    kmtree *guests[2];
    void *cell, *freed;
    OK(kmlini(&l, 0));
    OK(kmtreei_in(&guests[0], &l->id));
    OK(kmtreei_in(&guests[1], &heap->id));
    for (int i = 0; i < 2; i++) {
        OK(kmtreea(&cell, kmtreeroot(guests[i]), 64));
        OK(kmtreeon(cell, no_hook, NULL));
        freed = cell;
        OK(kmwalk(i ? &heap->id : &l->id, frees_a_node, &freed));
        CHECK(freed == NULL);
        OK(kmtreef(cell));
        refuse(cell, kmcond_bad_address);
        OK(kmtreex(guests[i]));
    }
    OK(kmlinx(l));
}

/* A destructor may release the root, since that is not below its node; then all that the node shared with it has gone. */
static void releases_the_root(void *cell, void *root) {
    void *others[24];
    OK(kmtreef(root));
    for (size_t i = 0; i < 24; i++) {
        OK(kmheapa_in(&others[i], heap, 16 * (i + 1)));
        memset(others[i], 0x41, 16 * (i + 1));
    }
    IS(kmtreef(cell), kmcond_in_use);
    IS(kmtreename(cell, "name"), kmcond_in_use);
    IS(kmtreea(&others[23], cell, 8), kmcond_in_use);
    IS(kmtreem(cell, NULL), kmcond_in_use);
    for (int i = 0; i < 24; i++) OK(kmheapf_in(heap, others[i]));
}

static void a_node_that_goes_after_its_root(void) {
    kmtree *t;
    void *cell;
    OK(kmtreei_in(&t, &heap->id));
    OK(kmtreea(&cell, kmtreeroot(t), 64));
    OK(kmtreeon(cell, releases_the_root, kmtreeroot(t)));
    OK(kmtreef(cell));
    OK(kmtreex(t));
}

static void bytes_that_a_store_has(void) {
    static union { unsigned char bytes[4096]; long double aligned; } room;
    kmlin *first, *second = NULL;
    kmpool *third = NULL;
    kmtree *fourth = NULL;
    kmheap *fifth = NULL;
    OK(kmlinif(&first, room.bytes, sizeof room.bytes));
    IS(kmlinif(&second, room.bytes, sizeof room.bytes), kmcond_in_use);
    IS(kmpoolif(&third, 8, room.bytes, 2048), kmcond_in_use);
    IS(kmtreeif(&fourth, room.bytes, sizeof room.bytes), kmcond_in_use);
    IS(kmheapif(&fifth, NULL, 100), kmcond_bad_address);
    CHECK(!second && !third && !fourth && !fifth);
    OK(kmlinx(first));
    IS(kmheapif(&fifth, room.bytes, 64), kmcond_no_room);
    OK(kmheapif(&fifth, room.bytes + 3, sizeof room.bytes - 3));
    OK(kmheapx(fifth));
    /* Longer than any object, and over the end of all addresses. */
    static const size_t lens[] = {SIZE_MAX, SIZE_MAX - 16, SIZE_MAX / 2 + 1};
    kmheap *none = NULL;
    for (int i = 0; i < 3; i++) {
        IS(kmheapif(&none, room.bytes, lens[i]), kmcond_bad_size);
        IS(kmlinif(&second, room.bytes, lens[i]), kmcond_bad_size);
        IS(kmpoolif(&third, 8, room.bytes, lens[i]), kmcond_bad_size);
        IS(kmtreeif(&fourth, room.bytes, lens[i]), kmcond_bad_size);
    }
    IS(kmheapif(&none, (void *)(uintptr_t)0xfffffffffffff000u, 8192), kmcond_bad_size);
    CHECK(!none && !second && !third && !fourth);
    OK(kmheapif(&fifth, room.bytes, sizeof room.bytes));
    OK(kmheapx(fifth));
}

static void nowhere_to_write(void) {
    IS(kmheapa(NULL, 8), kmcond_bad_address);
    IS(kmheapo(NULL, 8), kmcond_bad_address);
    IS(kmheapr(NULL, 8), kmcond_bad_address);
    IS(kmheapi(NULL), kmcond_bad_address);
    IS(kmlina(NULL, lin, 8), kmcond_bad_address);
    IS(kmlinmark(NULL, lin), kmcond_bad_address);
    IS(kmpoola(NULL, pool), kmcond_bad_address);
    IS(kmrefa(NULL, 8), kmcond_bad_address);
    IS(kmtreea(NULL, node, 8), kmcond_bad_address);
    IS(kmtreeo(NULL, node, 8), kmcond_bad_address);
    IS(kmtreei(NULL), kmcond_bad_address);
    IS(kmtreen(NULL, node), kmcond_bad_address);
    IS(kmdup(NULL, kmstat(NULL)), kmcond_bad_address);
    IS(kmtreeon(node, NULL, NULL), kmcond_bad_address);
    IS(kmtreetype(node, NULL), kmcond_bad_address);
    /* Nor is anything made that nobody would have: there is room for ever. */
    kmptr ptr = kmstatn(fixed_node, 64);
    ptr.kind = kmkind_tree;
    for (int i = 0; i < 200; i++) IS(kmdup(NULL, ptr), kmcond_bad_address);
    OK(kmdup(&ptr, ptr));
    OK(kmfree(ptr));
}

static const struct child cases[] = {
    {"foreign", foreign},
    {"foreign as a store", foreign_as_a_store},
    {"a store of another kind", a_store_of_another_kind},
    {"inside of cells", inside_of_cells},
    {"what looks like a header", what_looks_like_a_header},
    {"wrong kinds", wrong_kinds},
    {"kinds that are none", kinds_that_are_none},
    {"double frees", double_frees},
    {"a freed parent", a_freed_parent},
    {"an old place", an_old_place},
    {"a store that is gone", a_store_that_is_gone},
    {"an overwritten header", an_overwritten_header},
    {"a node that its host has not taken back", a_node_that_its_host_has_not_taken_back},
    {"a node that goes after its root", a_node_that_goes_after_its_root},
    {"bytes that a store has", bytes_that_a_store_has},
    {"nowhere to write", nowhere_to_write},
};

int main(void) {
    return run_children("misuse", cases, (int)(sizeof cases / sizeof *cases), set_up, tear_down) > 0;
}
