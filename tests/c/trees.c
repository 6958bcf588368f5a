/*
 * What programs that use trees rely on, most of it known from talloc: moving, guards, destructors, names, quotas, and
 * what happens to links meanwhile. docs/talloc.md says which of talloc's own tests each answers.
 */
#include "check.h"

static kmtree *tree;
static void *top;

static kmnode *header(void *cell) {
    kmnode *node = NULL;
    OK(kmtreen(&node, cell));
    CHECK(node == KMNODE(cell) && kmnodedata(node) == cell);
    return node;
}

static void *parent_of(void *cell) {
    return kmnodedata(header(cell)->parent);
}

static int count_children(void *cell) {
    int count = 0;
    for (kmnode *at = header(cell)->child; at; at = at->next) {
        CHECK(at->parent == KMNODE(cell));
        CHECK(at->prev ? at->prev->next == at : header(cell)->child == at);
        CHECK(at->next || header(cell)->lastchild == at);
        count++;
    }
    return count;
}

static void *child_of(void *parent, size_t len) {
    void *cell;
    OK(kmtreea(&cell, parent, len));
    CHECK(parent_of(cell) == parent && header(parent)->lastchild == KMNODE(cell));
    memset(cell, 0x11, len);
    return cell;
}

struct log {
    int calls;
    void *cells[64];
    void *other;
    kmcond answer;
};

static void note(void *cell, void *ctx) {
    struct log *log = (struct log *)ctx;
    log->cells[log->calls++] = cell;
}

static int refuse(void *cell, void *ctx) {
    (void)cell;
    struct log *log = (struct log *)ctx;
    log->calls++;
    return 1;
}

static int allow(void *cell, void *ctx) {
    (void)cell;
    ((struct log *)ctx)->calls++;
    return 0;
}

/* talloc: steal, move, parent */
static void moving(void) {
    void *a = child_of(top, 10), *b = child_of(top, 20), *c = child_of(a, 30), *d = child_of(c, 40);
    CHECK(count_children(top) == 2);
    OK(kmtreem(c, b));
    CHECK(parent_of(c) == b && parent_of(d) == c && count_children(a) == 0 && count_children(b) == 1);
    OK(kmtreem(c, b));
    OK(kmtreem(a, b));
    CHECK(header(b)->child == KMNODE(c) && header(b)->lastchild == KMNODE(a));
    IS(kmtreem(b, d), kmcond_in_use);
    IS(kmtreem(b, b), kmcond_in_use);
    IS(kmtreem(top, b), kmcond_in_use);
    CHECK(parent_of(b) == top && parent_of(d) == c);
    OK(kmtreem(d, NULL));
    CHECK(parent_of(d) == top);
    CHECK(all_bytes(d, 0x11, 40) && all_bytes(c, 0x11, 30));
    void *elsewhere;
    OK(kmtreea(&elsewhere, NULL, 10));
    IS(kmtreem(d, elsewhere), kmcond_mismatch);
    IS(kmtreem(elsewhere, d), kmcond_mismatch);
    OK(kmtreef(elsewhere));
    OK(kmtreefc(top));
    CHECK(count_children(top) == 0);
}

/* talloc: free children, free of a parent */
static void freeing(void) {
    struct log log = {0, {0}, NULL, kmcond_ok};
    void *a = child_of(top, 1), *b = child_of(a, 2), *c = child_of(a, 3), *d = child_of(b, 4);
    OK(kmtreeon(a, note, &log));
    OK(kmtreeon(b, note, &log));
    OK(kmtreeon(c, note, &log));
    OK(kmtreeon(d, note, &log));
    OK(kmtreefc(a));
    /* Parent before children, siblings first to last. */
    CHECK(log.calls == 3 && log.cells[0] == b && log.cells[1] == d && log.cells[2] == c);
    IS(kmtreef(b), kmcond_bad_address);
    CHECK(count_children(a) == 0);
    OK(kmtreef(a));
    CHECK(log.calls == 4 && log.cells[3] == a);
    IS(kmtreefc(a), kmcond_bad_address);
}

/* talloc: realloc, realloc of a parent with children, realloc on a destructor's parent */
static void resizing(void) {
    void *a = child_of(top, 10), *before = child_of(top, 10), *b = child_of(a, 10), *c = child_of(a, 10);
    for (size_t size = 1; size < 1000000; size = size * 3 + 1) {
        OK(kmtreer(&a, size));
        CHECK(header(a)->parent == KMNODE(top) && header(a)->next == KMNODE(before));
        CHECK(parent_of(b) == a && parent_of(c) == a && count_children(a) == 2 && count_children(top) == 2);
        CHECK(all_bytes(a, 0x11, size < 10 ? size : 1));
        memset(a, 0x11, size);
    }
    OK(kmtreer(&b, 70000));
    CHECK(header(a)->child == KMNODE(b) && header(b)->next == KMNODE(c));
    OK(kmtreer(&a, 0));
    void *was = a;
    IS(kmtreer(&a, SIZE_MAX), kmcond_bad_size);
    CHECK(a == was);
    void *root = top;
    IS(kmtreer(&root, 100), kmcond_in_use);
    OK(kmtreefc(top));
}

/* talloc: a destructor that refuses; here a guard does, and has no other effect */
static void guarding(void) {
    struct log log = {0, {0}, NULL, kmcond_ok}, asked = {0, {0}, NULL, kmcond_ok}, gone = {0, {0}, NULL, kmcond_ok};
    void *a = child_of(top, 10), *b = child_of(a, 10), *c = child_of(b, 10);
    OK(kmtreeon(a, note, &gone));
    OK(kmtreeguard(a, allow, &asked));
    OK(kmtreeguard(c, refuse, &log));
    IS(kmtreef(c), kmcond_in_use);
    IS(kmtreef(b), kmcond_in_use);
    IS(kmtreef(a), kmcond_in_use);
    IS(kmtreefc(a), kmcond_in_use);
    IS(kmtreefc(top), kmcond_in_use);
    IS(kmtreex(tree), kmcond_in_use);
    CHECK(log.calls == 6 && gone.calls == 0 && asked.calls > 0);
    CHECK(all_bytes(a, 0x11, 10) && all_bytes(b, 0x11, 10) && all_bytes(c, 0x11, 10) && parent_of(c) == b);
    OK(kmtreeguard(c, NULL, NULL));
    OK(kmtreef(a));
    CHECK(gone.calls == 1);
}

/* What is asked or looks changes nothing, whatever it tries. */
static void change(void *cell, void *other) {
    void *more = cell;
    IS(kmtreef(other), kmcond_in_use);
    IS(kmtreem(other, cell), kmcond_in_use);
    IS(kmtreea(&more, cell, 5), kmcond_in_use);
    IS(kmtreer(&more, 500), kmcond_in_use);
    IS(kmtreename(cell, "no"), kmcond_in_use);
    IS(kmtreename(cell, NULL), kmcond_in_use);
    IS(kmtreequota(cell, 10), kmcond_in_use);
    IS(kmtreequota(cell, 0), kmcond_in_use);
    IS(kmtreeon(cell, note, NULL), kmcond_in_use);
    IS(kmtreeoff(cell, note, NULL), kmcond_in_use);
    IS(kmtreeguard(cell, refuse, NULL), kmcond_in_use);
    IS(kmtreeguard(cell, NULL, NULL), kmcond_in_use);
    kmptr ptr = kmstatn(cell, 10), copy;
    ptr.kind = kmkind_tree;
    IS(kmdup(&copy, ptr), kmcond_in_use);
#ifdef KFmem_shred
    IS(kmtaint(&ptr), kmcond_in_use);
    IS(kmtaintc(&KMNODE(cell)->id), kmcond_in_use);
    CHECK(ptr.shred == 0 && KMNODE(cell)->id.shred == 0);
#endif
    IS(kmtreex(tree), kmcond_in_use);
    CHECK(more == cell);
}

static int meddle(void *cell, void *ctx) {
    struct log *log = (struct log *)ctx;
    log->calls++;
    change(cell, log->other);
    return 0;
}

static int look_and_meddle(const kmspan *span, void *ctx) {
    struct log *log = (struct log *)ctx;
    log->calls++;
    if (span->at == log->cells[0]) change(span->at, log->other);
    return 0;
}

static void guards_only_ask(void) {
    struct log log = {0, {0}, NULL, kmcond_ok};
    void *a = child_of(top, 10);
    log.other = child_of(top, 10);
    log.cells[0] = a;
    OK(kmtreereport(a, look_and_meddle, &log));
    OK(kmwalk(&tree->id, look_and_meddle, &log));
    CHECK(log.calls > 1 && kmtreenameof(a) == NULL);
    log.calls = 0;
    OK(kmtreeguard(a, meddle, &log));
    OK(kmtreef(a));
    CHECK(log.calls == 1 && count_children(top) == 1);
    OK(kmtreef(log.other));
}

/* Several destructors a node, which can be taken off again. */
static void destructors(void) {
    struct log first = {0, {0}, NULL, kmcond_ok}, second = {0, {0}, NULL, kmcond_ok};
    void *a = child_of(top, 10);
    OK(kmtreeon(a, note, &first));
    OK(kmtreeon(a, note, &second));
    OK(kmtreeon(a, note, &first));
    IS(kmtreeoff(a, note, &tree), kmcond_bad_address);
    OK(kmtreeoff(a, note, &first));
    OK(kmtreem(a, top));
    OK(kmtreer(&a, 3000));
    OK(kmtreef(a));
    CHECK(first.calls == 1 && second.calls == 1 && first.cells[0] == a);
    /* What has one is a value of somebody's. */
    kmptr ptr, copy;
    OK(kmtreeo(&ptr, top, 10));
    OK(kmtreeon(ptr.ref, note, &first));
    IS(kmdup(&copy, ptr), kmcond_mismatch);
    IS(kmozero(ptr), kmcond_mismatch);
    OK(kmtreeoff(ptr.ref, note, &first));
    OK(kmdup(&copy, ptr));
    CHECK(parent_of(copy.ref) == top);
    OK(kmfree(ptr));
    OK(kmfree(copy));
    CHECK(first.calls == 1);
}

/* talloc: a destructor that frees, that frees its parent, that moves, that allocates; one that frees itself */
static void free_other(void *cell, void *ctx) {
    struct log *log = (struct log *)ctx;
    log->calls++;
    IS(kmtreef(cell), kmcond_in_use);
    log->answer = kmtreef(log->other);
}

static void move_other(void *cell, void *ctx) {
    struct log *log = (struct log *)ctx;
    log->calls++;
    IS(kmtreem(cell, top), kmcond_in_use);
    IS(kmtreem(log->other, cell), kmcond_in_use);
    log->answer = kmtreem(log->other, top);
}

static void make_other(void *cell, void *ctx) {
    struct log *log = (struct log *)ctx;
    void *more;
    log->calls++;
    IS(kmtreea(&more, cell, 10), kmcond_in_use);
    log->answer = kmtreea(&log->other, top, 10);
    IS(kmtreex(tree), kmcond_in_use);
    IS(kmtreeon(cell, note, log), kmcond_in_use);
    CHECK(strcmp(kmtreenameof(cell), "going") == 0);
    CHECK(kmnodedata(KMNODE(cell)) == cell);
}

static void destructors_that_act(void) {
    struct log log = {0, {0}, NULL, kmcond_ok};
    void *parent = child_of(top, 10), *a = child_of(parent, 10), *b = child_of(a, 10);
    /* What the parent is freed by is not going with it. */
    log.other = parent;
    OK(kmtreeon(a, free_other, &log));
    OK(kmtreef(a));
    CHECK(log.calls == 1 && log.answer == kmcond_ok);
    IS(kmtreef(parent), kmcond_bad_address);
    IS(kmtreef(b), kmcond_bad_address);
    CHECK(count_children(top) == 0);
    /* What is going already cannot be freed by what goes with it. */
    parent = child_of(top, 10);
    a = child_of(parent, 10);
    log.other = parent;
    OK(kmtreeon(a, free_other, &log));
    OK(kmtreef(parent));
    CHECK(log.calls == 2 && log.answer == kmcond_in_use);
    /* A sibling neither; something else is moved. */
    parent = child_of(top, 10);
    a = child_of(parent, 10);
    b = child_of(parent, 10);
    log.other = b;
    OK(kmtreeon(a, move_other, &log));
    OK(kmtreef(parent));
    CHECK(log.calls == 3 && log.answer == kmcond_in_use && count_children(top) == 0);
    a = child_of(top, 10);
    parent = child_of(top, 10);
    b = child_of(parent, 10);
    log.other = b;
    OK(kmtreeon(a, move_other, &log));
    OK(kmtreef(a));
    CHECK(log.calls == 4 && log.answer == kmcond_ok && parent_of(b) == top);
    OK(kmtreefc(top));
    a = child_of(top, 10);
    OK(kmtreename(a, "going"));
    OK(kmtreeon(a, make_other, &log));
    OK(kmtreef(a));
    CHECK(log.calls == 5 && log.answer == kmcond_ok && parent_of(log.other) == top);
    OK(kmtreefc(top));
}

/* talloc: loops */
static void loops(void) {
    void *chain[100];
    chain[0] = child_of(top, 8);
    for (int i = 1; i < 100; i++) chain[i] = child_of(chain[i - 1], 8);
    for (int i = 0; i < 100; i++) {
        for (int j = i; j < 100; j += 7) IS(kmtreem(chain[i], chain[j]), kmcond_in_use);
    }
    OK(kmtreem(chain[50], chain[10]));
    OK(kmtreem(chain[11], chain[99]));
    IS(kmtreem(chain[50], chain[11]), kmcond_in_use);
    OK(kmtreef(chain[0]));
    for (int i = 0; i < 100; i++) IS(kmtreef(chain[i]), kmcond_bad_address);
}

/* talloc: names and types */
static void names(void) {
    void *a = child_of(top, 8);
    CHECK(kmtreenameof(a) == NULL);
    IS(kmtreetype(a, "struct a"), kmcond_mismatch);
    char text[] = "struct a";
    OK(kmtreename(a, text));
    text[0] = 'x';
    CHECK(strcmp(kmtreenameof(a), "struct a") == 0);
    OK(kmtreetype(a, "struct a"));
    IS(kmtreetype(a, "struct b"), kmcond_mismatch);
    OK(kmtreer(&a, 9000));
    OK(kmtreetype(a, "struct a"));
    OK(kmtreename(a, "another and a much longer name than the one before it, so that it needs another block"));
    IS(kmtreetype(a, "struct a"), kmcond_mismatch);
    OK(kmtreename(a, NULL));
    CHECK(kmtreenameof(a) == NULL);
    OK(kmtreename(a, ""));
    OK(kmtreetype(a, ""));
    OK(kmtreef(a));
    CHECK(kmtreenameof(a) == NULL);
}

/* talloc: memory limits */
static void quotas(void) {
    void *a = child_of(top, 36), *b = child_of(a, 36), *c, *outside = child_of(top, 136);
    OK(kmtreequota(a, 500));
    OK(kmtreea(&c, b, 136));
    IS(kmtreea(&outside, b, 100), kmcond_no_room);
    /* 100 + 100 + 200 are taken, and exactly 100 can be had. */
    IS(kmtreer(&b, 137), kmcond_no_room);
    OK(kmtreer(&b, 136));
    OK(kmtreer(&b, 36));
    IS(kmtreem(outside, a), kmcond_no_room);
    CHECK(parent_of(outside) == top);
    kmptr ptr = kmstat(c), copy;
    ptr.kind = kmkind_tree;
    ptr.ref = c;
    IS(kmdup(&copy, ptr), kmcond_no_room);
    OK(kmtreequota(b, 350));
    OK(kmtreem(c, a));
    OK(kmtreem(c, b));
    OK(kmtreem(c, top));
    OK(kmtreem(outside, a));
    IS(kmtreem(c, b), kmcond_no_room);
    OK(kmtreef(outside));
    OK(kmtreem(c, b));
    OK(kmtreequota(b, 0));
    OK(kmtreef(c));
    OK(kmtreea(&c, a, 236));
    IS(kmtreea(&outside, a, 0), kmcond_no_room);
    OK(kmtreefc(a));
    /* What stays below it takes no more, however much is there already. */
    void *d = child_of(a, 8), *e = child_of(d, 8);
    OK(kmtreequota(a, 1));
    OK(kmtreem(e, a));
    OK(kmtreem(d, e));
    OK(kmtreem(e, a));
    IS(kmtreea(&c, a, 1), kmcond_no_room);
    OK(kmtreem(d, NULL));
    IS(kmtreem(d, a), kmcond_no_room);
    OK(kmtreequota(e, 10));
    OK(kmtreequota(a, 0));
    IS(kmtreem(d, e), kmcond_no_room);
    OK(kmtreef(d));
    OK(kmtreef(e));
    OK(kmtreea(&c, a, 100000));
    OK(kmtreef(a));
}

struct lines {
    int count;
    uint32_t depths[8];
    const char *names[8];
    size_t sizes[8];
};

static int line(const kmspan *span, void *ctx) {
    struct lines *lines = (struct lines *)ctx;
    lines->depths[lines->count] = span->depth;
    lines->names[lines->count] = span->name;
    lines->sizes[lines->count++] = span->size;
    IS(kmtreef(span->at), kmcond_in_use);
    return lines->count == 8;
}

/* talloc: reports */
static void reports(void) {
    void *a = child_of(top, 1), *b = child_of(a, 2);
    child_of(b, 3);
    child_of(a, 4);
    OK(kmtreename(b, "b"));
    struct lines lines;
    memset(&lines, 0, sizeof lines);
    OK(kmtreereport(a, line, &lines));
    CHECK(lines.count == 4);
    static const uint32_t depths[] = {0, 1, 2, 1};
    for (size_t i = 0; i < 4; i++) CHECK(lines.depths[i] == depths[i] && lines.sizes[i] == i + 1);
    CHECK(strcmp(lines.names[1], "b") == 0 && !lines.names[0]);
    IS(kmtreereport(a, NULL, NULL), kmcond_bad_address);
    OK(kmtreef(a));
}

/* talloc: a very deep and a very wide one */
static void depth_and_width(void) {
    void *at = top, *cell;
    for (int i = 0; i < 300000; i++) {
        OK(kmtreea(&cell, at, 1));
        at = cell;
    }
    OK(kmtreefc(top));
    for (int i = 0; i < 300000; i++) OK(kmtreea(&cell, top, 1));
    OK(kmtreef(header(top)->child->next + 1));
    OK(kmtreefc(top));
}

#ifdef KFmem_shred
static void shredding(void) {
    static union { unsigned char bytes[16384]; long double aligned; } room;
    kmtree *fixed;
    OK(kmtreeif(&fixed, room.bytes, sizeof room.bytes));
    void *a, *b;
    OK(kmtreea(&a, kmtreeroot(fixed), 32));
    OK(kmtreea(&b, a, 32));
    memset(a, 0x33, 32);
    memset(b, 0x33, 32);
    OK(kmtrees(a));
    CHECK(!all_bytes(a, 0x33, 32) && !all_bytes(b, 0x33, 32));
    /* But for what the heap keeps in front of what is free, nothing is left. */
    CHECK(all_bytes((char *)a + 16, 0, 16) || all_bytes((char *)b + 16, 0, 16));
    kmptr ptr;
    OK(kmtreeo(&ptr, kmtreeroot(fixed), 32));
    memset(ptr.ref, 0x44, 32);
    OK(kmtaint(&ptr));
    void *before = ptr.ref;
    OK(kmtreea(&b, kmtreeroot(fixed), 32));
    OK(kmtreer(&ptr.ref, 600));
    CHECK(ptr.ref != before && !all_bytes(before, 0x44, 32) && all_bytes(ptr.ref, 0x44, 32));
    OK(kmtreex(fixed));
    CHECK(!all_bytes(ptr.ref, 0x44, 32));
}
#endif

static void all(void) {
    moving();
    freeing();
    resizing();
    guarding();
    guards_only_ask();
    destructors();
    destructors_that_act();
    loops();
    names();
    quotas();
    reports();
}

int main(void) {
    /* In pages of its own, in bytes, and in each other kind of store. */
    static union { unsigned char bytes[4 << 20]; long double aligned; } room;
    kmheap *heap;
    kmlin *lin;
    kmtree *outer;
    OK(kmheapi(&heap));
    OK(kmlini(&lin, 0));
    OK(kmtreei(&outer));
    for (int form = 0; form < 5; form++) {
        if (form == 0) OK(kmtreei(&tree));
        if (form == 1) OK(kmtreeif(&tree, room.bytes, sizeof room.bytes));
        if (form == 2) OK(kmtreei_in(&tree, &heap->id));
        if (form == 3) OK(kmtreei_in(&tree, &lin->id));
        if (form == 4) OK(kmtreei_in(&tree, &outer->id));
        top = kmtreeroot(tree);
        CHECK(top && header(top)->parent == NULL && tree->id.kind == kmkind_tree);
        if (form > 1) {
            /* What is going cannot be told any more to be a tree's in another store: that it is going is said. */
            moving();
            freeing();
            resizing();
            guarding();
            guards_only_ask();
            destructors();
            loops();
            names();
            quotas();
            reports();
        } else {
            all();
        }
        if (form == 0) depth_and_width();
        OK(kmtreex(tree));
        IS(kmtreex(tree), kmcond_bad_address);
    }
    OK(kmheapx(heap));
    OK(kmlinx(lin));
    OK(kmtreex(outer));
#ifdef KFmem_shred
    shredding();
#endif
    printf("trees: %d checks\n", checks);
    return 0;
}
