/* Things that belong to things: a document and its parts, with a limit, names, and what is to be done at the end. */
#include <stdio.h>

#include "kmem.h"

static void closed(void *cell, void *ctx) {
    printf("%s goes with %s\n", kmtreenameof(cell), (const char *)ctx);
}

static int show(const kmspan *span, void *ctx) {
    (void)ctx;
    printf("%*s%s: %zu bytes\n", 2 * (int)span->depth, "", span->name ? span->name : "unnamed", span->size);
    return 0;
}

int main(void) {
    void *document, *chapter, *section;
    if (kmtreea(&document, NULL, 64) || kmtreename(document, "document")) return 1;
    if (kmtreequota(document, 1000)) return 1;
    if (kmtreea(&chapter, document, 100) || kmtreename(chapter, "chapter")) return 1;
    if (kmtreea(&section, chapter, 50) || kmtreename(section, "section")) return 1;
    if (kmtreeon(chapter, closed, (void *)"its document")) return 1;
    void *more = NULL;
    printf("ten kilobytes more: %s\n", kmstrerror(kmtreea(&more, section, 10000)));
    printf("a chapter in its section: %s\n", kmstrerror(kmtreem(chapter, section)));
    if (kmtreem(section, document)) return 1;
    if (kmtreereport(document, show, NULL)) return 1;
    for (kmnode *at = KMNODE(document)->child; at; at = at->next) printf("%s\n", kmtreenameof(kmnodedata(at)));
    return kmtreef(document) != kmcond_ok;
}
