/* Runs each case in a process of its own, so that one that goes wrong spoils no other. */
#ifndef CHILDREN_H
#define CHILDREN_H

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

struct child {
    const char *name;
    void (*run)(void);
};

static inline void nothing(void) {
}

/* How many went wrong. */
static int run_children(const char *program, const struct child *cases, int count, void (*before)(void),
                        void (*after)(void)) {
    int failed = 0;
    for (int i = 0; i < count; i++) {
        fflush(NULL);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            /* Who waits for ever is killed. */
            alarm(300);
            before();
            cases[i].run();
            after();
            printf("%s: %s: %d checks\n", program, cases[i].name, checks);
            exit(0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0) {
            fprintf(stderr, "%s: %s: status %d\n", program, cases[i].name, status);
            failed++;
        }
    }
    return failed;
}

#endif
