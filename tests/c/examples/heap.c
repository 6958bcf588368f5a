/* Memory of any size, in any order: lines of text of unknown length. */
#include <stdio.h>
#include <string.h>

#include "kmem.h"

static kmcond append(void **text, size_t *len, const char *more) {
    size_t added = strlen(more);
    kmcond cond = kmheapr(text, *len + added + 1);
    if (cond) return cond;
    memcpy((char *)*text + *len, more, added + 1);
    *len += added;
    return kmcond_ok;
}

int main(void) {
    void *text;
    size_t len = 0;
    kmcond cond = kmheapz(&text, 1);
    for (int i = 0; !cond && i < 3; i++) cond = append(&text, &len, "any size, any order; ");
    if (cond) {
        fprintf(stderr, "%s\n", kmstrerror(cond));
        return 1;
    }
    printf("%s\n", (char *)text);
    return kmheapf(text) != kmcond_ok;
}
