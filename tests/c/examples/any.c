/* A function that is given memory and need not know of which kind it is. */
#include <stdio.h>

#include "kmem.h"

static void done(kmptr ptr) {
    kmcond cond = kmfree(ptr);
    printf("kind %u: %s\n", ptr.kind, kmstrerror(cond));
}

int main(void) {
    static char words[] = "never allocated";
    kmptr ptr;
    kmlin *lin;
    kmpool *pool;
    if (kmlini(&lin, 0) || kmpooli(&pool, 32, 0)) return 1;
    done(kmstatn(words, sizeof words));
    if (kmheapo(&ptr, 100) == kmcond_ok) done(ptr);
    if (kmlino(&ptr, lin, 100) == kmcond_ok) done(ptr);
    if (kmpoolo(&ptr, pool) == kmcond_ok) done(ptr);
    if (kmrefo(&ptr, 100) == kmcond_ok) done(ptr);
    if (kmtreeo(&ptr, NULL, 100) == kmcond_ok) done(ptr);
    done(ptr);
    return kmlinx(lin) || kmpoolx(pool);
}
