/* What the programs of this folder check with. Nothing here allocates. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmem.h"

static int checks;

static void check_failed(const char *file, int line, const char *what, const char *got) {
    fprintf(stderr, "%s:%d: %s%s%s\n", file, line, what, *got ? " is " : "", got);
    exit(1);
}

#define CHECK(what)                                                        \
    do {                                                                   \
        checks++;                                                          \
        if (!(what)) check_failed(__FILE__, __LINE__, #what " fails", ""); \
    } while (0)

/* That a call answers a condition. */
#define IS(call, cond)                                                                         \
    do {                                                                                       \
        kmcond got_ = (call);                                                                  \
        checks++;                                                                              \
        if (got_ != (cond)) check_failed(__FILE__, __LINE__, #call " is not " #cond ", but", kmstrerror(got_)); \
    } while (0)

#define OK(call) IS(call, kmcond_ok)

static inline int all_bytes(const void *bytes, int byte, size_t len) {
    const unsigned char *at = (const unsigned char *)bytes;
    for (size_t i = 0; i < len; i++) {
        if (at[i] != byte) return 0;
    }
    return 1;
}

static inline kmcell *cell_of(void *store) {
    return (kmcell *)store;
}

#endif
