/* Cells of one size in bytes of one's own: no call to the system, and full is full. */
#include <stdio.h>

#include "kmem.h"

struct point {
    double x, y;
};

int main(void) {
    static union {
        unsigned char bytes[1024];
        long double aligned;
    } room;
    kmpool *pool;
    kmcond cond = kmpoolif(&pool, sizeof(struct point), room.bytes, sizeof room.bytes);
    if (cond) {
        fprintf(stderr, "%s\n", kmstrerror(cond));
        return 1;
    }
    int count = 0;
    void *point = NULL, *last = NULL;
    while ((cond = kmpoolz(&point, pool)) == kmcond_ok) {
        last = point;
        count++;
    }
    printf("%s, then: %s\n", count > 10 ? "many points" : "few points", kmstrerror(cond));
    if (last && kmpoolf(pool, last) != kmcond_ok) return 1;
    if (kmpoola(&point, pool) != kmcond_ok || point != last) return 1;
    return kmpoolx(pool) != kmcond_ok;
}
