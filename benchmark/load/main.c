/*
 * pushca-load - the load generator of the benchmark: simulated clients on one thread and one epoll.
 */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "load/options.h"
#include "load/scenario.h"
#include "load/tools.h"

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct options *o);
    } scenarios[] = {{"pairs", pairs_run},   {"crowd", pairs_run}, {"http", http_run},
                     {"fanout", fanout_run}, {"idle", idle_run},   {"storm", storm_run}};
    struct options o;
    size_t i;

    options_read(&o, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* open loop: in time, to the microsecond */
    raise_descriptor_limit();
    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(o.scenario, scenarios[i].name) == 0) {
            scenarios[i].run(&o);
            return 0;
        }
    }
    die("no scenario %s: pairs, http, fanout, idle, storm or crowd", o.scenario);
}
