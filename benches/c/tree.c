/*
 * Trees by the C face of kmem and by talloc, in one program and in turns: for each work the ratio of the two in each
 * round, and their median.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <talloc.h>

#include "kmem.h"

enum { NODES = 200000, PAIRS = 1000000, ROUNDS = 15 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* The same shapes for both: each node below one of those made before it, of 16 to 79 bytes. */
static uint32_t parents[NODES];
static uint32_t sizes[NODES];
static void *nodes[NODES];

static void draw(void) {
    uint64_t state = 42;
    for (uint32_t i = 0; i < NODES; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t dice = (uint32_t)(state >> 33);
        uint32_t back = 1 + dice % 64;
        parents[i] = i < back ? 0 : i - back;
        sizes[i] = 16 + dice / 64 % 64;
    }
}

struct times {
    double build, release, pair;
};

static struct times by_kmem(void) {
    struct times times;
    void *root, *node;
    double start = now();
    if (kmtreea(&root, NULL, 16)) fail("kmtreea");
    nodes[0] = root;
    for (uint32_t i = 1; i < NODES; i++) {
        if (kmtreea(&node, nodes[parents[i]], sizes[i])) fail("kmtreea");
        memcpy(node, &i, sizeof i);
        nodes[i] = node;
    }
    double built = now();
    if (kmtreef(root)) fail("kmtreef");
    double released = now();
    if (kmtreea(&root, NULL, 16)) fail("kmtreea");
    double begun = now();
    for (uint32_t i = 0; i < PAIRS; i++) {
        if (kmtreea(&node, root, 48)) fail("kmtreea");
        memcpy(node, &i, sizeof i);
        if (kmtreef(node)) fail("kmtreef");
    }
    double paired = now();
    if (kmtreef(root)) fail("kmtreef");
    times.build = (built - start) / NODES;
    times.release = (released - built) / NODES;
    times.pair = (paired - begun) / PAIRS;
    return times;
}

static struct times by_talloc(void) {
    struct times times;
    void *root, *node;
    double start = now();
    root = talloc_named_const(NULL, 16, "payload");
    nodes[0] = root;
    for (uint32_t i = 1; i < NODES; i++) {
        node = talloc_named_const(nodes[parents[i]], sizes[i], "payload");
        if (!node) fail("talloc");
        memcpy(node, &i, sizeof i);
        nodes[i] = node;
    }
    double built = now();
    if (talloc_free(root)) fail("talloc_free");
    double released = now();
    root = talloc_named_const(NULL, 16, "payload");
    double begun = now();
    for (uint32_t i = 0; i < PAIRS; i++) {
        node = talloc_named_const(root, 48, "payload");
        if (!node) fail("talloc");
        memcpy(node, &i, sizeof i);
        if (talloc_free(node)) fail("talloc_free");
    }
    double paired = now();
    talloc_free(root);
    times.build = (built - start) / NODES;
    times.release = (released - built) / NODES;
    times.pair = (paired - begun) / PAIRS;
    return times;
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *figures) {
    qsort(figures, ROUNDS, sizeof *figures, ascending);
    return figures[ROUNDS / 2];
}

int main(void) {
    static double ratio[3][ROUNDS], ours[3][ROUNDS], theirs[3][ROUNDS];
    static const char *names[3] = {"tree build", "free root", "child pair"};
    draw();
    by_kmem();
    by_talloc();
    for (int round = 0; round < ROUNDS; round++) {
        struct times kmem, talloc;
        if (round % 2) {
            kmem = by_kmem();
            talloc = by_talloc();
        } else {
            talloc = by_talloc();
            kmem = by_kmem();
        }
        const double figures[3][2] = {
            {kmem.build, talloc.build}, {kmem.release, talloc.release}, {kmem.pair, talloc.pair}};
        for (int work = 0; work < 3; work++) {
            ours[work][round] = figures[work][0];
            theirs[work][round] = figures[work][1];
            ratio[work][round] = figures[work][0] / figures[work][1];
        }
    }
    for (int work = 0; work < 3; work++) {
        printf("%-12s kmem %6.2f ns  talloc %6.2f ns  ratio %.3f\n", names[work], median(ours[work]),
               median(theirs[work]), median(ratio[work]));
    }
    return 0;
}
