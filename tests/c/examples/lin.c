/* One cell after the other, all gone at once: what a request needs while it is answered. */
#include <stdio.h>

#include "kmem.h"

static kmcond answer(kmlin *lin, int request) {
    kmmark mark;
    kmcond cond = kmlinmark(&mark, lin);
    if (cond) return cond;
    void *name, *reply;
    if ((cond = kmlina(&name, lin, 32)) == kmcond_ok && (cond = kmlina(&reply, lin, 64)) == kmcond_ok) {
        snprintf((char *)name, 32, "request %d", request);
        snprintf((char *)reply, 64, "%s is answered", (char *)name);
        puts((char *)reply);
    }
    kmcond back = kmlinrewind(lin, mark);
    return cond ? cond : back;
}

int main(void) {
    kmlin *lin;
    kmcond cond = kmlini(&lin, 4096);
    for (int i = 0; !cond && i < 3; i++) cond = answer(lin, i);
    if (cond) fprintf(stderr, "%s\n", kmstrerror(cond));
    return kmlinx(lin) != kmcond_ok || cond;
}
