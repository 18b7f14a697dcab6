#include "load/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load/tools.h"

/* A thread may end between its listing and its reading. */
static double thread_cpu_s(int pid, const char *thread)
{
    char path[320], line[128];
    double s = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, thread);
    file = fopen(path, "r");
    if (!file)
        return 0;
    if (fgets(line, sizeof(line), file))
        s = (double)strtoull(line, NULL, 10) / 1e9;
    fclose(file);
    return s;
}

static double process_cpu_s(int pid)
{
    char path[64];
    struct dirent *entry;
    double s = 0;
    DIR *folder;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    folder = opendir(path);
    if (!folder)
        die("process %d has gone", pid);
    while ((entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            s += thread_cpu_s(pid, entry->d_name);
    closedir(folder);
    return s;
}

double usage_cpu_s(const struct usage *u)
{
    double s = 0;
    int i;

    for (i = 0; i < u->pids; i++)
        s += process_cpu_s(u->pid[i]);
    return s;
}

static double process_memory(int pid)
{
    char path[64], line[256];
    double bytes = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    file = fopen(path, "r");
    if (!file)
        die("process %d has gone, or its memory may not be read", pid);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, "Pss_Anon:", 9) == 0 || strncmp(line, "Pss_Shmem:", 10) == 0)
            bytes += strtod(strchr(line, ':') + 1, NULL) * 1024;
    fclose(file);
    return bytes;
}

double usage_memory(const struct usage *u)
{
    double bytes = 0;
    int i;

    for (i = 0; i < u->pids; i++)
        bytes += process_memory(u->pid[i]);
    return bytes;
}
