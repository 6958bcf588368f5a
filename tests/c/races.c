/* What several threads do at once, each with what it may use: it is done once, and as if they took turns. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>

#include "children.h"

/* In a thread: what fails ends it, and says where. */
#define TRY(what)                                          \
    do {                                                   \
        if (!(what)) return (void *)(intptr_t)__LINE__;    \
    } while (0)

/* One does so in a thread of its own while the other does so here. */
static void both(void *(*there)(void *), void *(*here)(void *)) {
    pthread_t other;
    void *answers[2];
    CHECK(pthread_create(&other, NULL, there, NULL) == 0);
    answers[0] = here(NULL);
    CHECK(pthread_join(other, &answers[1]) == 0);
    for (int i = 0; i < 2; i++) {
        if (answers[i]) fprintf(stderr, "races: line %d\n", (int)(intptr_t)answers[i]);
        CHECK(!answers[i]);
    }
}

/* A node that has its pages to itself leaves them, and the other thread's tree may have them then. */
static void *resize(void *unused) {
    (void)unused;
    kmtree *tree;
    void *node;
    TRY(!kmtreei(&tree) && !kmtreea(&node, kmtreeroot(tree), 40000));
    for (int i = 0; i < 2000; i++) {
        size_t len = i % 2 ? 40000 : 100000;
        TRY(!kmtreer(&node, len) && KMNODE(node)->id.size == len + sizeof(kmnode));
    }
    TRY(!kmtreex(tree));
    return NULL;
}

static void large_nodes(void) {
    both(resize, resize);
}

static const struct child cases[] = {
    {"large nodes", large_nodes},
};

int main(void) {
    return run_children("races", cases, (int)(sizeof cases / sizeof *cases), nothing, nothing) > 0;
}
