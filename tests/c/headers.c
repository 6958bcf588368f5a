/*
 * What runs over the end of a cell overwrites the header behind it. Each call that would follow that header is refused
 * in a process of its own, and changes nothing: when the bytes are put back, all is as it was.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const int bytes[] = {0, 0x01, 0x2a, 0x4c, 0xff};
enum { BYTES = (int)(sizeof bytes / sizeof *bytes), SIZE = 64 };

/* Where trees lie. */
enum sort { own, fixed, guest, guest_of_region, sorts };
static const char *const names[] = {"own", "fixed", "guest", "guest of a region"};

static kmtree *tree;
static kmlin *lin;
static kmmark mark;
/* Below `top` are `first`, `second` and `third`; `low` is below `second`. */
static void *top, *first, *second, *third, *low;
static void *start;

static int visit(const kmspan *span, void *count) {
    (void)span;
    if (count) ++*(int *)count;
    return 0;
}

static void swap(void **one, void **other) {
    void *kept = *one;
    *one = *other;
    *other = kept;
}

static void set_up_tree(int sort) {
    static union { unsigned char bytes[65536]; long double aligned; } room;
    kmheap *heap;
    if (sort == own) OK(kmtreei(&tree));
    if (sort == fixed) OK(kmtreeif(&tree, room.bytes, sizeof room.bytes));
    if (sort == guest) {
        OK(kmheapi(&heap));
        OK(kmtreei_in(&tree, &heap->id));
    }
    if (sort == guest_of_region) {
        OK(kmlini(&lin, 0));
        OK(kmtreei_in(&tree, &lin->id));
    }
    OK(kmtreea(&top, kmtreeroot(tree), SIZE));
    OK(kmtreea(&first, top, SIZE));
    OK(kmtreea(&second, top, SIZE));
    OK(kmtreea(&third, top, SIZE));
    /* A heap hands cells out in what order it likes. */
    if (second < first) swap(&first, &second);
    if (third < second) swap(&second, &third);
    if (second < first) swap(&first, &second);
    OK(kmtreea(&low, second, SIZE));
    start = (char *)first + SIZE;
    CHECK((char *)second - (char *)first < 4 * SIZE);
}

static void set_up_region(void) {
    OK(kmlini(&lin, 0));
    OK(kmlinmark(&mark, lin));
    OK(kmlina(&first, lin, SIZE));
    OK(kmlina(&second, lin, SIZE));
    OK(kmlina(&third, lin, SIZE));
    start = (char *)first + SIZE;
}

/* More that a tree can have in it. */
static void *large;

static void with_nothing(void) {}

static void with_a_large_node(void) {
    OK(kmtreea(&large, top, 40000));
}

static void destroyed(void *cell, void *count) {
    (void)cell;
    ++*(int *)count;
}

static int destructions;

static void with_a_destructor(void) {
    OK(kmtreeon(third, destroyed, &destructions));
}

static int let(void *cell, void *ctx) {
    (void)cell, (void)ctx;
    return 0;
}

static void with_a_guard(void) {
    OK(kmtreeguard(top, let, NULL));
}

static void with_a_quota(void) {
    OK(kmtreequota(top, 1 << 20));
}

static void with_another(void) {
    void *other;
    OK(kmtreea(&other, kmtreeroot(tree), SIZE));
}

#ifdef KFmem_shred
static void with_a_tainted_node(void) {
    kmptr ptr = kmstatn(third, SIZE);
    ptr.kind = kmkind_tree;
    OK(kmtaint(&ptr));
}
#endif

static kmptr managed(void *node) {
    kmptr ptr = kmstatn(node, SIZE);
    ptr.kind = kmkind_tree;
    return ptr;
}

/* What is called with the node itself. */
static kmcond free_it(void) { return kmtreef(second); }
static kmcond free_below_it(void) { return kmtreefc(second); }
static kmcond resize_it(void) { void *place = second; return kmtreer(&place, 500); }
static kmcond move_it(void) { return kmtreem(second, NULL); }
static kmcond move_to_it(void) { return kmtreem(third, second); }
static kmcond allocate_below_it(void) { void *place; return kmtreea(&place, second, 8); }
static kmcond name_it(void) { return kmtreename(second, "name"); }
static kmcond type_of_it(void) { return kmtreetype(second, "name"); }
static kmcond limit_it(void) { return kmtreequota(second, 1000); }
static kmcond guard_it(void) { return kmtreeguard(second, let, NULL); }
static kmcond destructor_of_it(void) { return kmtreeon(second, destroyed, NULL); }
static kmcond report_it(void) { return kmtreereport(second, visit, NULL); }
static kmcond name_of_it(void) { return kmtreenameof(second) ? kmcond_ok : kmcond_fail_assert; }
static kmcond free_as_ptr(void) { return kmfree(managed(second)); }
static kmcond zero_as_ptr(void) { return kmozero(managed(second)); }
static kmcond copy_as_ptr(void) { kmptr copy; return kmdup(&copy, managed(second)); }
/* With what it is below. */
static kmcond free_top(void) { return kmtreef(top); }
static kmcond free_below_top(void) { return kmtreefc(top); }
static kmcond limit_top(void) { return kmtreequota(top, 1 << 20); }
static kmcond report_top(void) { return kmtreereport(top, visit, NULL); }
static kmcond resize_top(void) { return kmtreer(&top, 5000); }
static kmcond walk(void) { return kmwalk(cell_of(tree), visit, NULL); }
static kmcond destroy(void) { return kmtreex(tree); }
/* With what is below it. */
static kmcond move_another_below(void) { void *child; OK(kmtreea(&child, third, 8)); return kmtreem(third, low); }
static kmcond allocate_below(void) { void *place; return kmtreea(&place, low, 8); }
static kmcond free_low(void) { return kmtreef(low); }
static kmcond resize_low(void) { return kmtreer(&low, 500); }
static kmcond move_low(void) { return kmtreem(low, kmtreeroot(tree)); }
#ifdef KFmem_shred
static kmcond shred_it(void) { return kmtrees(second); }
static kmcond taint_it(void) { kmptr ptr = managed(second); return kmtaint(&ptr); }
static kmcond shred_top(void) { return kmtrees(top); }
#endif
/* Of a region. */
static kmcond destroy_region(void) { return kmlinx(lin); }
static kmcond reset_region(void) { return kmlinreset(lin); }
static kmcond rewind_region(void) { return kmlinrewind(lin, mark); }
static kmcond walk_region(void) { return kmwalk(&lin->id, visit, NULL); }
static kmcond resize_in_region(void) { void *place = second; return kmlinr(&place, lin, 500); }
static kmcond free_in_region(void) { return kmlinf(lin, second); }

/*
 * What is overwritten: from behind the cell, or the node's own header, where the header in front of that is not followed.
 * And a tree in pages of its own can go without a look at any node.
 */
enum what { all_of_it, its_own, or_it_goes };
#define TREE(with, call) {#call " " #with, with, call, all_of_it}
#define NODE(with, call) {#call " " #with, with, call, its_own}
static const struct {
    const char *name;
    void (*with)(void);
    kmcond (*call)(void);
    enum what what;
} tree_calls[] = {
    TREE(with_nothing, free_it),
    TREE(with_nothing, free_below_it),
    TREE(with_nothing, resize_it),
    TREE(with_nothing, move_it),
    TREE(with_nothing, move_to_it),
    TREE(with_nothing, allocate_below_it),
    TREE(with_nothing, name_it),
    TREE(with_nothing, type_of_it),
    TREE(with_nothing, limit_it),
    TREE(with_nothing, guard_it),
    TREE(with_nothing, destructor_of_it),
    TREE(with_nothing, report_it),
    TREE(with_nothing, name_of_it),
    TREE(with_nothing, free_as_ptr),
    TREE(with_nothing, zero_as_ptr),
    TREE(with_nothing, copy_as_ptr),
    TREE(with_another, free_top),
    TREE(with_a_large_node, free_top),
    TREE(with_a_destructor, free_top),
    TREE(with_a_guard, free_top),
    TREE(with_a_quota, free_top),
    TREE(with_nothing, free_below_top),
    NODE(with_nothing, limit_top),
    TREE(with_nothing, report_top),
    TREE(with_nothing, resize_top),
    TREE(with_nothing, walk),
    TREE(with_a_large_node, destroy),
    TREE(with_a_destructor, destroy),
    NODE(with_nothing, move_another_below),
    NODE(with_a_quota, allocate_below),
    NODE(with_a_quota, free_low),
    NODE(with_a_quota, resize_low),
    NODE(with_a_quota, move_low),
#ifdef KFmem_shred
    TREE(with_nothing, shred_it),
    TREE(with_nothing, taint_it),
    TREE(with_nothing, shred_top),
    TREE(with_a_tainted_node, free_top),
    TREE(with_a_tainted_node, destroy),
#endif
    {"free_top", with_nothing, free_top, or_it_goes},
    {"destroy", with_nothing, destroy, or_it_goes},
};

static const struct {
    const char *name;
    kmcond (*call)(void);
} region_calls[] = {
    {"destroy", destroy_region}, {"reset", reset_region},      {"rewind", rewind_region},
    {"walk", walk_region},       {"resize", resize_in_region}, {"free", free_in_region},
};

/* Overwrites the first so many bytes of what is in front of `second`, calls, and puts them back. */
static kmcond overwritten(int byte, size_t len, kmcond (*call)(void)) {
    unsigned char kept[4 * SIZE];
    memcpy(kept, start, len);
    memset(start, byte, len);
    kmcond cond = call();
    if (cond != kmcond_ok) memcpy(start, kept, len);
    return cond;
}

static void misuse_a_tree(int sort, int number, int byte, size_t len) {
    set_up_tree(sort);
    tree_calls[number].with();
    if (tree_calls[number].what == its_own) start = KMNODE(second);
    size_t front = (size_t)((char *)second - (char *)start);
    if (tree_calls[number].what == or_it_goes && sort == own) {
        OK(overwritten(byte, len < front ? len : front, tree_calls[number].call));
        return;
    }
    int before = 0, after = 0;
    OK(kmwalk(cell_of(tree), visit, &before));
    IS(overwritten(byte, len < front ? len : front, tree_calls[number].call), kmcond_fail_assert);
    if (tree_calls[number].call == move_another_below) before++;
    OK(kmwalk(cell_of(tree), visit, &after));
    CHECK(before == after && destructions == 0);
    OK(kmtreer(&low, 200));
    OK(kmtreem(second, third));
    OK(kmtreef(top));
    OK(kmtreex(tree));
}

static void misuse_a_region(int tainted, int number, int byte, size_t len) {
    set_up_region();
#ifdef KFmem_shred
    if (tainted) OK(kmtaintc(&lin->id));
#else
    (void)tainted;
#endif
    int before = 0, after = 0;
    OK(kmwalk(&lin->id, visit, &before));
    IS(overwritten(byte, len, region_calls[number].call), kmcond_fail_assert);
    OK(kmwalk(&lin->id, visit, &after));
    CHECK(before == after);
    OK(kmlinrewind(lin, mark));
    OK(kmlinx(lin));
}

/* Runs a misuse in a process of its own; says whether that ended as it should. */
static int alone(void (*misuse)(int, int, int, size_t), int sort, int number, int byte, size_t len) {
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(20);
        misuse(sort, number, byte, len);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status == 0;
}

int main(void) {
    static const size_t lens[] = {4, 8, 16, 4 * SIZE};
    /* Where memory is watched all bytes take long. */
    const char *every = getenv("EVERY");
    int failed = 0, step = every ? atoi(every) : 1;
    for (int i = 0; i < BYTES; i += step) {
        unsigned byte = (unsigned)bytes[i];
        for (int call = 0; call < (int)(sizeof tree_calls / sizeof *tree_calls); call++) {
            for (int sort = 0; sort < sorts; sort++) {
                /* Each length with some of the bytes: with all it takes long where memory is watched. */
                size_t len = lens[(i + call + sort) % 4];
                if (alone(misuse_a_tree, sort, call, bytes[i], len)) continue;
                fprintf(stderr, "headers: %s: %s: %zu of %02x\n", names[sort], tree_calls[call].name, len, byte);
                failed++;
            }
        }
        for (int call = 0; call < (int)(sizeof region_calls / sizeof *region_calls); call++) {
            for (int tainted = 0; tainted < 2; tainted++) {
                size_t len = lens[(i + call + tainted) % 3];
                if (alone(misuse_a_region, tainted, call, bytes[i], len)) continue;
                fprintf(stderr, "headers: region: %s: %zu of %02x\n", region_calls[call].name, len, byte);
                failed++;
            }
        }
    }
    printf("headers: %d bytes for each call\n", ((int)BYTES + step - 1) / step);
    return failed > 0;
}
