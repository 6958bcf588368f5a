/* A thing that several share: it goes with the last of them. */
#include <stdio.h>
#include <string.h>

#include "kmem.h"

struct user {
    void *name;
};

static kmcond share(struct user *user, void *name) {
    user->name = name;
    return kmrefu(name);
}

int main(void) {
    void *name;
    struct user users[3];
    kmcond cond = kmrefz(&name, 16);
    if (cond) return 1;
    strcpy((char *)name, "shared");
    for (int i = 0; i < 3; i++) {
        if (share(&users[i], name)) return 1;
    }
    printf("%zu references\n", ((kmref *)name - 1)->refs);
    if (kmrefd(name)) return 1;
    for (int i = 0; i < 3; i++) {
        printf("%s\n", (char *)users[i].name);
        if (kmrefd(users[i].name)) return 1;
    }
    printf("and then: %s\n", kmstrerror(kmrefd(name)));
    return 0;
}
