#include "app/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { FILE_MAX = 8192, PATH_ROOM = 4096 };

/* Reads a small file under root into text, zero-terminated; false: there is none. */
static bool read_small(const char *root, const char *path, char *text, size_t room)
{
    char name[PATH_ROOM];
    ssize_t got;
    int fd, n = snprintf(name, sizeof(name), "%s%s", root, path);

    if (n < 0 || (size_t)n >= sizeof(name))
        return false;
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    got = read(fd, text, room - 1);
    close(fd);
    if (got < 0)
        return false;
    text[got] = '\0';
    return true;
}

/* A whole number at the front of text; false: none ("max"), or too large to be a limit. */
static bool number_of(const char *text, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoimax(text, &end, 10);
    return end != text && errno == 0 && *out >= 0;
}

/* ---- files ---- */

static rlim_t most_files(void)
{
    char text[32];
    int64_t open_max;

    if (read_small("", "/proc/sys/fs/nr_open", text, sizeof(text)) && number_of(text, &open_max) &&
        open_max < LIMITS_FILES_MAX)
        return (rlim_t)open_max;
    return LIMITS_FILES_MAX;
}

uint32_t limits_raise_files(void)
{
    struct rlimit now, wanted;
    rlim_t most = most_files();

    if (getrlimit(RLIMIT_NOFILE, &now))
        return 0;
    if (now.rlim_cur < most) {
        wanted = (struct rlimit){most, now.rlim_max > most ? now.rlim_max : most};
        if (setrlimit(RLIMIT_NOFILE, &wanted)) { /* not root: no further than the hard limit */
            wanted = (struct rlimit){now.rlim_max < most ? now.rlim_max : most, now.rlim_max};
            if (setrlimit(RLIMIT_NOFILE, &wanted))
                wanted = now;
        }
        now = wanted;
    }
    return now.rlim_cur < LIMITS_FILES_MAX ? (uint32_t)now.rlim_cur : LIMITS_FILES_MAX;
}

void limits_wake_gently(void)
{
    const struct sched_param none = {0};

    if (sched_getscheduler(0) == SCHED_OTHER)
        (void)sched_setscheduler(0, SCHED_BATCH, &none); /* a sandbox may forbid it: no harm */
}

int64_t limits_core_bytes(void)
{
    struct rlimit now;

    if (getrlimit(RLIMIT_CORE, &now))
        return 0;
    return now.rlim_cur == RLIM_INFINITY ? -1 : (int64_t)now.rlim_cur;
}

/* ---- cgroups ---- */

/* What one file of a cgroup says; false: nothing. */
typedef bool reader(const char *root, const char *directory, int64_t *out);

/* Does the comma-separated list of len bytes name controller? */
static bool has_controller(const char *list, size_t len, const char *controller)
{
    size_t wanted = strlen(controller), start = 0, i;

    for (i = 0; i <= len; i++) {
        if (i < len && list[i] != ',')
            continue;
        if (i - start == wanted && memcmp(list + start, controller, wanted) == 0)
            return true;
        start = i + 1;
    }
    return false;
}

/* This process's cgroup in /proc/self/cgroup: "0::/a/b" of version 2 (controller ""), or
   "4:memory:/a/b" of version 1. */
static bool find_cgroup(const char *root, const char *controller, char path[PATH_ROOM])
{
    char text[FILE_MAX], *line, *next, *names, *where;

    if (!read_small(root, "/proc/self/cgroup", text, sizeof(text)))
        return false;
    for (line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        names = strchr(line, ':');
        where = names ? strchr(names + 1, ':') : NULL;
        if (!where || !has_controller(names + 1, (size_t)(where - names - 1), controller))
            continue;
        snprintf(path, PATH_ROOM, "%s", where + 1);
        return true;
    }
    return false;
}

/* The least that the process's cgroup and those above it say; in a container the upper ones, or
   the path itself, may not be seen. */
static void walk_up(const char *root, const char *controller, reader *read_one, int64_t *least)
{
    char path[PATH_ROOM], directory[PATH_ROOM + 64];
    int64_t value;
    char *slash;

    if (!find_cgroup(root, controller, path))
        return;
    for (;;) {
        snprintf(directory, sizeof(directory), "/sys/fs/cgroup%s%s%s", *controller ? "/" : "",
                 controller, strcmp(path, "/") == 0 ? "" : path);
        if (read_one(root, directory, &value) && value < *least)
            *least = value;
        slash = strrchr(path, '/');
        if (!slash || !*path)
            return;
        *slash = '\0';
    }
}

static bool read_in(const char *root, const char *directory, const char *name, char text[64])
{
    char path[PATH_ROOM + 128];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return read_small(root, path, text, 64);
}

static bool memory_of_v2(const char *root, const char *directory, int64_t *out)
{
    char text[64];

    return read_in(root, directory, "memory.max", text) && number_of(text, out);
}

static bool memory_of_v1(const char *root, const char *directory, int64_t *out)
{
    char text[64];

    return read_in(root, directory, "memory.limit_in_bytes", text) && number_of(text, out);
}

/* Cores of a quota in a period of the same unit, rounded up. */
static bool cores_of(int64_t quota, int64_t period, int64_t *out)
{
    if (quota <= 0 || period <= 0)
        return false;
    *out = (quota - 1) / period + 1;
    return true;
}

/* "150000 100000" or "max 100000" */
static bool cores_of_v2(const char *root, const char *directory, int64_t *out)
{
    char text[64], *space;
    int64_t quota, period;

    if (!read_in(root, directory, "cpu.max", text))
        return false;
    space = strchr(text, ' ');
    return space && number_of(text, &quota) && number_of(space, &period) &&
           cores_of(quota, period, out);
}

static bool cores_of_v1(const char *root, const char *directory, int64_t *out)
{
    char text[64];
    int64_t quota, period;

    if (!read_in(root, directory, "cpu.cfs_quota_us", text) || !number_of(text, &quota))
        return false;
    return read_in(root, directory, "cpu.cfs_period_us", text) && number_of(text, &period) &&
           cores_of(quota, period, out);
}

/* ---- cores and memory ---- */

uint32_t limits_cores(const char *root)
{
    cpu_set_t set;
    int64_t cores = 1;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0) /* more cores than the set has room for */
        cores = sysconf(_SC_NPROCESSORS_ONLN);
    walk_up(root, "", cores_of_v2, &cores);
    walk_up(root, "cpu", cores_of_v1, &cores);
    return (uint32_t)(cores < 1 ? 1 : cores > LIMITS_CORES_MAX ? LIMITS_CORES_MAX : cores);
}

/* The kernel's own answer, for a process that sees no /proc, as in a bare chroot. */
static int64_t memory_of_kernel(void)
{
    struct sysinfo info;

    if (sysinfo(&info) < 0)
        return INT64_MAX;
    return (int64_t)info.totalram * info.mem_unit;
}

int64_t limits_memory_bytes(const char *root)
{
    char text[FILE_MAX], *total;
    int64_t least = INT64_MAX, kib;

    if (read_small(root, "/proc/meminfo", text, sizeof(text))) {
        total = strstr(text, "MemTotal:");
        if (total && number_of(total + sizeof("MemTotal:") - 1, &kib) && kib < INT64_MAX / 1024)
            least = kib * 1024;
    } else if (!*root) {
        least = memory_of_kernel();
    }
    walk_up(root, "", memory_of_v2, &least);
    walk_up(root, "memory", memory_of_v1, &least);
    return least == INT64_MAX ? 0 : least;
}
