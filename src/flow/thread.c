#include "flow/thread.h"

#include <signal.h>
#include <stdio.h>
#include "base/check.h"
#include "base/mem.h"

enum { NAME_SIZE = 16 }; /* the kernel's, with the terminating zero */

struct start {
    void (*run)(void *);
    void *context;
    char name[NAME_SIZE];
};

static _Thread_local const void *at_home;

static struct {
    void (*first)(void), (*last)(void);
} around; /* null: nothing */

void thread_around(void (*first)(void), void (*last)(void))
{
    around.first = first;
    around.last = last;
}

static void *begin(void *argument)
{
    struct start s = *(struct start *)argument;

    mem_free(argument);
    pthread_setname_np(pthread_self(), s.name);
    if (around.first)
        around.first();
    s.run(s.context);
    if (around.last)
        around.last();
    return NULL;
}

enum err thread_start(pthread_t *out, const char *name, void (*run)(void *), void *context)
{
    struct start *s = mem_new(struct start);
    sigset_t all, before;
    int error;

    s->run = run;
    s->context = context;
    snprintf(s->name, sizeof(s->name), "%s", name);
    /* A new thread inherits the mask, so there is no moment at which it could take a signal. */
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    error = pthread_create(out, NULL, begin, s);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (!error)
        return ERR_OK;
    mem_free(s);
    return err_from_errno(error);
}

void thread_join(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}

void thread_settle(const void *home)
{
    at_home = home;
}

bool thread_at_home(const void *home)
{
    return at_home == home;
}
