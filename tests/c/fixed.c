/* Stores in bytes of the caller's ask the system for nothing: whoever maps, unmaps or grows memory here is killed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static void forbid(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_brk, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

typedef union {
    unsigned char bytes[16384];
    long double aligned;
} area;

static area rooms[8];

static void dtor(void *cell, void *ctx) {
    (void)cell;
    ++*(int *)ctx;
}

static int guard(void *cell, void *ctx) {
    (void)cell;
    (void)ctx;
    return 0;
}

static int see(const kmspan *span, void *ctx) {
    *(size_t *)ctx += span->size;
    return 0;
}

/* Every function that takes a store, or what lies in one. */
static void everything(void) {
    kmheap *heap;
    kmlin *lin, *inner_lin;
    kmpool *pool, *inner_pool;
    kmtree *tree, *inner_tree;
    void *cell, *other, *node;
    kmptr ptr, copy;
    size_t bytes = 0;
    int runs = 0;
    OK(kmheapif(&heap, rooms[0].bytes, sizeof rooms[0]));
    OK(kmlinif(&lin, rooms[1].bytes, sizeof rooms[1]));
    OK(kmpoolif(&pool, 512, rooms[2].bytes, sizeof rooms[2]));
    OK(kmtreeif(&tree, rooms[3].bytes, sizeof rooms[3]));
    OK(kmheapa_in(&cell, heap, 10));
    OK(kmheapr_in(&cell, heap, 100));
    OK(kmheapr(&cell, 200));
    OK(kmheapz_in(&other, heap, 10));
    OK(kmheapf(other));
    OK(kmheapf_in(heap, cell));
    OK(kmheapo_in(&ptr, heap, 10));
    OK(kmdup(&copy, ptr));
    OK(kmfree(copy));
    OK(kmozero(ptr));
    OK(kmfree(ptr));
    OK(kmheapzo_in(&ptr, heap, 10));
    OK(kmfree(ptr));
    OK(kmlina(&cell, lin, 10));
    OK(kmlinz(&other, lin, 10));
    OK(kmlinr(&other, lin, 50));
    OK(kmlinf(lin, other));
    OK(kmlino(&ptr, lin, 10));
    OK(kmdup(&copy, ptr));
    OK(kmfree(ptr));
    OK(kmlinzo(&ptr, lin, 10));
    kmmark mark;
    OK(kmlinmark(&mark, lin));
    OK(kmlinrewind(lin, mark));
    OK(kmlinreset(lin));
    OK(kmpoola(&cell, pool));
    OK(kmpoolz(&other, pool));
    OK(kmpoolr(&other, pool, 20));
    OK(kmpoolf(pool, other));
    OK(kmpoolo(&ptr, pool));
    OK(kmdup(&copy, ptr));
    OK(kmpoolzo(&ptr, pool));
    OK(kmrefa_in(&cell, &heap->id, 10));
    OK(kmrefu(cell));
    OK(kmrefd(cell));
    OK(kmreff(cell));
    OK(kmtreea(&node, kmtreeroot(tree), 10));
    OK(kmtreez(&other, node, 10));
    OK(kmtreer(&other, 100));
    OK(kmtreeo(&ptr, node, 10));
    OK(kmtreezo(&copy, node, 10));
    OK(kmtreem(ptr.ref, other));
    OK(kmtreem(ptr.ref, NULL));
    kmnode *header;
    OK(kmtreen(&header, node));
    OK(kmtreename(node, "node"));
    OK(kmtreetype(node, "node"));
    CHECK(*kmtreenameof(node) == 'n' && kmnodedata(header) == node);
    OK(kmtreequota(node, 1000));
    OK(kmtreeon(node, dtor, &runs));
    OK(kmtreeon(node, dtor, &bytes));
    OK(kmtreeoff(node, dtor, &bytes));
    OK(kmtreeguard(node, guard, NULL));
    OK(kmtreereport(node, see, &bytes));
    OK(kmdup(&copy, ptr));
#ifdef KFmem_shred
    OK(kmtaint(&copy));
    OK(kmtaintc(&header->id));
    OK(kmtaintc(&lin->id));
    OK(kmshred(copy));
    OK(kmtrees(ptr.ref));
    OK(kmheapa_in(&cell, heap, 10));
    OK(kmheaps_in(heap, cell));
    OK(kmheapa_in(&cell, heap, 10));
    OK(kmheaps(cell));
    OK(kmlina(&cell, lin, 10));
    OK(kmlins(lin, cell));
    OK(kmpoola(&cell, pool));
    OK(kmpools(pool, cell));
    OK(kmrefa_in(&cell, &pool->id, 10));
    OK(kmrefs(cell));
#endif
    OK(kmtreefc(node));
    OK(kmtreef(node));
    CHECK(runs == 1);
    OK(kmwalk(&heap->id, see, &bytes));
    OK(kmwalk(&lin->id, see, &bytes));
    OK(kmwalk(&pool->id, see, &bytes));
    OK(kmwalk(&tree->id, see, &bytes));
    OK(kmlini_in(&inner_lin, &heap->id, 1000));
    OK(kmpooli_in(&inner_pool, &lin->id, 16, 4));
    OK(kmtreei_in(&inner_tree, &heap->id));
    OK(kmlina(&cell, inner_lin, 10));
    OK(kmpoola(&cell, inner_pool));
    OK(kmtreea(&cell, kmtreeroot(inner_tree), 10));
    OK(kmtreex(inner_tree));
    OK(kmpoolx(inner_pool));
    OK(kmlinx(inner_lin));
    /* Full is full. */
    IS(kmheapa_in(&cell, heap, sizeof rooms[0]), kmcond_no_room);
    IS(kmlina(&cell, lin, sizeof rooms[1]), kmcond_no_room);
    IS(kmtreea(&cell, kmtreeroot(tree), sizeof rooms[3]), kmcond_no_room);
    kmcond last = kmcond_ok;
    while (last == kmcond_ok) last = kmpoola(&cell, pool);
    CHECK(last == kmcond_no_room);
    OK(kmheapx(heap));
    OK(kmlinx(lin));
    OK(kmpoolx(pool));
    OK(kmtreex(tree));
}

int main(void) {
    forbid();
    for (int i = 0; i < 10; i++) everything();
    char text[64];
    int len = snprintf(text, sizeof text, "fixed: %d checks\n", checks);
    CHECK(write(1, text, (size_t)len) == len);
    _exit(0);
}
