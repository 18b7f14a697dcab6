#include "app/limits.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "unit/app/load.h"

/* ---- a directory that imitates /proc and /sys ---- */

static char root[] = "/tmp/pushca-limits-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command); // NOLINT: a name of our own making
}

static void put(const char *path, const char *text)
{
    char name[512], *slash;
    FILE *f;

    snprintf(name, sizeof(name), "%s%s", root, path);
    for (slash = strchr(name + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(name, 0700);
        *slash = '/';
    }
    f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

static uint32_t affinity(void)
{
    cpu_set_t set;
    int cores;

    CPU_ZERO(&set);
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    cores = CPU_COUNT(&set);
    return (uint32_t)(cores > LIMITS_CORES_MAX ? LIMITS_CORES_MAX : cores);
}

static void nothing_known_is_no_limit(void **state)
{
    (void)state;
    assert_int_equal(limits_memory_bytes(root), 0);
    assert_int_equal(limits_cores(root), affinity());
    put("/proc/meminfo", "MemFree: 1 kB\n");
    put("/proc/self/cgroup", "garbage\n:\n::\n0:\n");
    assert_int_equal(limits_memory_bytes(root), 0);
    put("/proc/meminfo", "MemTotal:  99999999999999999999 kB\n");
    assert_int_equal(limits_memory_bytes(root), 0);
}

static int scheduled(int before)
{
    const struct sched_param none = {0};
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (sched_setscheduler(0, before, &none))
            _exit(99);
        limits_wake_gently();
        _exit(sched_getscheduler(0));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void what_somebody_chose_stays(void **state)
{
    (void)state;
    assert_int_equal(scheduled(SCHED_OTHER), SCHED_BATCH);
    assert_int_equal(scheduled(SCHED_BATCH), SCHED_BATCH);
    assert_int_equal(scheduled(SCHED_IDLE), SCHED_IDLE);
}

static void the_machine_has_kibibytes(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal:       24683596 kB\nMemFree: 1 kB\n");
    assert_int_equal(limits_memory_bytes(root), INT64_C(24683596) * 1024);
}

static void version_2_is_read_up_to_the_root(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 1000 kB\n");
    put("/proc/self/cgroup", "0::/a.slice/b.service\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
    assert_int_equal(limits_memory_bytes(root), 1024000);
    put("/sys/fs/cgroup/a.slice/memory.max", "500000\n");
    assert_int_equal(limits_memory_bytes(root), 500000);
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "400000\n");
    assert_int_equal(limits_memory_bytes(root), 400000);
    put("/sys/fs/cgroup/memory.max", "300000\n"); /* as a container sees its own */
    assert_int_equal(limits_memory_bytes(root), 300000);
}

static void version_1_has_a_directory_per_controller(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 1000 kB\n");
    put("/proc/self/cgroup", "9:name=systemd:/\n5:cpu,cpuacct:/d\n4:memory:/d\n0::/\n");
    put("/sys/fs/cgroup/memory/d/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(limits_memory_bytes(root), 1024000);
    put("/sys/fs/cgroup/memory/d/memory.limit_in_bytes", "600000\n");
    assert_int_equal(limits_memory_bytes(root), 600000);
    put("/sys/fs/cgroup/cpu/d/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu/d/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(limits_cores(root), affinity());
    put("/sys/fs/cgroup/cpu/d/cpu.cfs_quota_us", "100000\n");
    assert_int_equal(limits_cores(root), 1);
}

static void cores_are_rounded_up(void **state)
{
    static const struct {
        const char *max;
        uint32_t cores;
    } table[] = {
        {"max 100000\n", 64},
        {"100000 100000\n", 1},
        {"1 100000\n", 1},
        {"100001 100000\n", 2},
        {"175000 100000\n", 2},
        {"200000 100000\n", 2},
        {"200001 100000\n", 3},
        {"0 100000\n", 64},
        {"100000 0\n", 64},
        {"100000\n", 64},
        {"\n", 64},
        {"99999999 100000\n", 64},
    };
    uint32_t here = affinity();
    size_t i;

    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    for (i = 0; i < COUNT(table); i++) {
        put("/sys/fs/cgroup/cpu.max", table[i].max);
        assert_int_equal(limits_cores(root), table[i].cores < here ? table[i].cores : here);
    }
}

/* ---- the file limit, each case in a process of its own ---- */

static uint32_t raised_from(rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {soft, hard};
    uint32_t got = 0;
    int status, ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
            got = limits_raise_files();
        if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur != got)
            got = 0;
        _exit(write(ends[1], &got, sizeof(got)) != sizeof(got));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &got, sizeof(got)), sizeof(got));
    close(ends[0]);
    close(ends[1]);
    return got;
}

static void the_file_limit_is_raised_as_far_as_permitted(void **state)
{
    struct rlimit now;
    uint32_t got;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_max >= 256);
    got = raised_from(128, 256);
    assert_true(got == 256 || (got > 256 && geteuid() == 0));
    got = raised_from(256, 256);
    assert_true(got == 256 || (got > 256 && geteuid() == 0));
    got = raised_from(128, now.rlim_max);
    assert_true(got <= LIMITS_FILES_MAX &&
                got >= (now.rlim_max < LIMITS_FILES_MAX ? now.rlim_max : LIMITS_FILES_MAX));
}

static void the_real_machine_answers(void **state)
{
    uint32_t files = limits_raise_files();

    (void)state;
    assert_true(limits_memory_bytes("") > 0);
    assert_true(limits_cores("") >= 1 && limits_cores("") <= LIMITS_CORES_MAX);
    assert_true(files >= 256 && files <= LIMITS_FILES_MAX);
    assert_int_equal(limits_raise_files(), files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_known_is_no_limit, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_machine_has_kibibytes, make_root, remove_root),
        cmocka_unit_test_setup_teardown(version_2_is_read_up_to_the_root, make_root, remove_root),
        cmocka_unit_test_setup_teardown(version_1_has_a_directory_per_controller, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(cores_are_rounded_up, make_root, remove_root),
        cmocka_unit_test(the_file_limit_is_raised_as_far_as_permitted),
        cmocka_unit_test(what_somebody_chose_stays),
        cmocka_unit_test(the_real_machine_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
