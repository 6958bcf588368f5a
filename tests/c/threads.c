/* What threads may share: the process heap, counts, the registry; and stores that go from one to another. */
#include <pthread.h>

#include "check.h"

enum { THREADS = 4, ROUNDS = 3000 };

static void *shared;
static void *gifts[THREADS];
static kmtree *trees[THREADS];

static void *work(void *arg) {
    int me = (int)(intptr_t)arg;
    void *cells[16], *cell;
    memset(cells, 0, sizeof cells);
    unsigned dice = (unsigned)me * 2654435761u + 1;
    for (int i = 0; i < ROUNDS; i++) {
        dice = dice * 1664525u + 1013904223u;
        int at = (int)(dice >> 28);
        if (cells[at]) {
            if (!all_bytes(cells[at], me + 1, 24)) return (void *)1;
            if (kmheapf(cells[at])) return (void *)2;
            cells[at] = NULL;
        } else {
            if (kmheapa(&cells[at], 24 + dice % 500)) return (void *)3;
            memset(cells[at], me + 1, 24);
        }
        if (kmrefu(shared) || kmrefd(shared)) return (void *)4;
        if (i % 50 == 0) {
            kmlin *lin;
            kmpool *pool;
            kmtree *tree;
            if (kmlini(&lin, 100) || kmpooli_in(&pool, &lin->id, 16, 2) || kmtreei(&tree)) return (void *)5;
            if (kmpoola(&cell, pool) || kmheapf(cell) != kmcond_mismatch || kmpoolf(pool, cell)) return (void *)6;
            if (kmtreea(&cell, kmtreeroot(tree), 10) || kmtreef(cell)) return (void *)7;
            if (kmpoolx(pool) || kmlinx(lin) || kmtreex(tree)) return (void *)8;
            if (kmlina(&cell, lin, 8) != kmcond_bad_address) return (void *)9;
        }
    }
    for (int i = 0; i < 16; i++) {
        if (cells[i] && kmheapf(cells[i])) return (void *)10;
    }
    /* What a thread has made it may give to another. */
    if (kmtreei(&trees[me]) || kmtreea(&gifts[me], kmtreeroot(trees[me]), 100)) return (void *)11;
    memset(gifts[me], me + 1, 100);
    for (int i = 0; i < 1000; i++) {
        if (kmtreea(&cell, gifts[me], 30)) return (void *)12;
    }
    return kmrefd(shared) ? (void *)13 : NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    OK(kmrefa(&shared, 100));
    for (int i = 0; i < THREADS; i++) {
        OK(kmrefu(shared));
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *answer;
        CHECK(pthread_join(threads[i], &answer) == 0);
        if (answer) fprintf(stderr, "thread %d: %d\n", i, (int)(intptr_t)answer);
        CHECK(!answer);
        CHECK(all_bytes(gifts[i], i + 1, 100));
        OK(kmtreef(gifts[i]));
        OK(kmtreex(trees[i]));
    }
    OK(kmrefd(shared));
    IS(kmrefd(shared), kmcond_bad_address);
    printf("threads: %d checks\n", checks);
    return 0;
}
