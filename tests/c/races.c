/* What several threads do at once, each with what it may use: it is done once, and as if they took turns. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>

#include "children.h"

/* For threads, which cannot count their checks together. */
#define TRY(what)                                                          \
    do {                                                                   \
        if (!(what)) check_failed(__FILE__, __LINE__, #what " fails", ""); \
    } while (0)

/* One does so in a thread of its own while the other does so here. */
static void both(void *(*there)(void *), void *(*here)(void *)) {
    pthread_t other;
    CHECK(pthread_create(&other, NULL, there, NULL) == 0);
    here(NULL);
    CHECK(pthread_join(other, NULL) == 0);
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

/* One reference too many is dropped, by two at once: one of them releases the cell, and the other is refused. */
enum { CELLS = 40000 };
static void *over[CELLS];
static int turn;
static char there[CELLS], here[CELLS];

static void *drop(char *released) {
    for (int i = 0; i < CELLS; i++) {
        __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);
        for (int spins = 0; __atomic_load_n(&turn, __ATOMIC_SEQ_CST) < 2 * i + 2; spins++) {
            if (spins > 1000) sched_yield();
        }
        kmcond cond = kmrefd(over[i]);
        TRY(cond == kmcond_ok || cond == kmcond_in_use || cond == kmcond_bad_address);
        released[i] = cond == kmcond_ok;
    }
    return NULL;
}

static void *drop_there(void *unused) {
    (void)unused;
    return drop(there);
}

static void *drop_here(void *unused) {
    (void)unused;
    return drop(here);
}

static void one_reference_too_many(void) {
    for (int i = 0; i < CELLS; i++) OK(kmrefa(&over[i], 64));
    both(drop_there, drop_here);
    for (int i = 0; i < CELLS; i++) CHECK(there[i] + here[i] == 1);
}

/* A child that is forked while another thread is in the midst of something can do all that its parent can. */
static int stop;

static void *work(void *unused) {
    (void)unused;
    void *cell, *node;
    TRY(!kmheapa(&cell, 64));
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        kmlin *lin;
        TRY(!kmheapr(&cell, 65) && !kmheapr(&cell, 64));
        TRY(!kmlini(&lin, 0) && !kmlina(&node, lin, 10) && !kmlinx(lin));
    }
    TRY(!kmheapf(cell));
    return NULL;
}

static void *fork_often(void *unused) {
    (void)unused;
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();
        TRY(pid >= 0);
        if (pid == 0) {
            void *cell, *node;
            alarm(5);
            TRY(!kmheapa(&cell, 64) && !kmheapr(&cell, 100) && !kmheapf(cell));
            TRY(!kmtreea(&node, NULL, 10) && !kmtreef(node));
            _exit(0);
        }
        int status;
        TRY(waitpid(pid, &status, 0) == pid && status == 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void forks(void) {
    both(work, fork_often);
}

static const struct child cases[] = {
    {"large nodes", large_nodes},
    {"one reference too many", one_reference_too_many},
    {"forks", forks},
};

int main(void) {
    return run_children("races", cases, (int)(sizeof cases / sizeof *cases), nothing, nothing) > 0;
}
