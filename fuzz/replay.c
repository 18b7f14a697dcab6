/*
 * replay - runs a fuzz target over the files of folders, without a fuzzer: what was found once is
 * looked at in every build.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "input.h"

/* False: it cannot be read. */
static bool replay_file(const char *name)
{
    FILE *f = fopen(name, "rb");
    struct stat is;
    uint8_t *at;
    bool read;

    if (!f || fstat(fileno(f), &is) != 0 || !S_ISREG(is.st_mode)) {
        fprintf(stderr, "%s: cannot be read\n", name);
        if (f)
            fclose(f);
        return false;
    }
    at = malloc((size_t)is.st_size + 1);
    MUST(at);
    read = fread(at, 1, (size_t)is.st_size, f) == (size_t)is.st_size;
    fclose(f);
    if (read) {
        fprintf(stderr, "%s\n", name);
        LLVMFuzzerTestOneInput(at, (size_t)is.st_size);
    }
    free(at);
    return read;
}

/* How many files it has; -1: one of them, or the folder, cannot be read. */
static int replay_folder(const char *name)
{
    DIR *d = opendir(name);
    struct dirent *entry;
    char path[4096];
    int count = 0;

    if (!d) {
        perror(name);
        return -1;
    }
    while (count >= 0 && (entry = readdir(d))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
        count = replay_file(path) ? count + 1 : -1;
    }
    closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    struct stat is;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (stat(argv[i], &is) == 0 && S_ISREG(is.st_mode)) {
            if (!replay_file(argv[i]))
                return 1;
        } else if (replay_folder(argv[i]) < 1) {
            fprintf(stderr, "%s: no file to replay\n", argv[i]);
            return 1;
        }
    }
    return 0;
}
