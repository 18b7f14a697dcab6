#include "app/crash.h"

#include <elf.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "flow/thread.h"

enum {
    FRAMES = 64,
    FILES = 32, /* mapped: the program and its libraries */
    NAME = 32,
    BUILD_ID = 20, /* bytes */
    STACK = 64 * 1024,
    TEXT = 8192,
};

static const struct {
    int number;
    const char *name;
} signals[] = {{SIGSEGV, "SIGSEGV"},
               {SIGBUS, "SIGBUS"},
               {SIGILL, "SIGILL"},
               {SIGFPE, "SIGFPE"},
               {SIGABRT, "SIGABRT"}};

enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

/* All that a handler may not find out, found out before. Changed by crash_open alone. */
static struct {
    char version[64], build_id[2 * BUILD_ID + 1];
    struct {
        uintptr_t base, end;
        char name[NAME];
    } files[FILES];
    int file_count;
} known;

static _Thread_local void *thread_stack;

/* ---- before ---- */

/* The note "GNU", type NT_GNU_BUILD_ID. */
static void read_build_id(const char *at, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const ElfW(Nhdr) * n;
    size_t i, id;

    for (; len >= sizeof(*n); at += id, len -= id) {
        n = (const void *)at;
        id = sizeof(*n) + ((n->n_namesz + 3) & ~3U) + ((n->n_descsz + 3) & ~3U);
        if (id > len)
            return;
        if (n->n_type != NT_GNU_BUILD_ID || n->n_descsz > BUILD_ID)
            continue;
        at += sizeof(*n) + ((n->n_namesz + 3) & ~3U);
        for (i = 0; i < n->n_descsz; i++) {
            known.build_id[2 * i] = digits[(unsigned char)at[i] >> 4];
            known.build_id[2 * i + 1] = digits[at[i] & 15];
        }
        return;
    }
}

/* The first one is the program, whose name is not told. */
static int on_file(struct dl_phdr_info *info, size_t size, void *context)
{
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = known.file_count ? slash ? slash + 1 : info->dlpi_name : "pushca";
    int i, at = known.file_count;

    (void)size;
    (void)context;
    known.files[at].base = info->dlpi_addr;
    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr;

        if (p->p_type == PT_LOAD && from + p->p_memsz > known.files[at].end)
            known.files[at].end = from + p->p_memsz;
        if (p->p_type == PT_NOTE && at == 0 && !known.build_id[0])
            read_build_id((const char *)from, p->p_memsz); // NOLINT: mapped, says the linker
    }
    strncpy(known.files[at].name, name, NAME - 1);
    return ++known.file_count == FILES;
}

static void use_stack(void *stack)
{
    stack_t s = {.ss_sp = stack, .ss_size = STACK, .ss_flags = stack ? 0 : SS_DISABLE};

    (void)sigaltstack(&s, NULL);
}

/* ---- the last words; nothing here allocates or takes a lock ---- */

struct words {
    char at[TEXT];
    size_t len;
    bool json;
};

static void add_bytes(struct words *w, const char *at, size_t len)
{
    if (len > TEXT - w->len)
        len = TEXT - w->len;
    memcpy(w->at + w->len, at, len);
    w->len += len;
}

static void add(struct words *w, const char *text)
{
    add_bytes(w, text, strlen(text));
}

static void add_number(struct words *w, uint64_t n, unsigned base, size_t width)
{
    char text[24];
    size_t at = sizeof(text);

    do {
        text[--at] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n || sizeof(text) - at < width);
    add_bytes(w, text + at, sizeof(text) - at);
}

static void add_address(struct words *w, uint64_t n)
{
    add(w, "0x");
    add_number(w, n, 16, 1);
}

/* Days since 1970 to a date, by eras of 400 years that begin on 1 March. */
static void add_date(struct words *w, int64_t days)
{
    int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;

    add_number(w, (uint64_t)(yoe + era * 400 + (month <= 2)), 10, 4);
    add(w, "-");
    add_number(w, (uint64_t)month, 10, 2);
    add(w, "-");
    add_number(w, (uint64_t)(doy - (153 * mp + 2) / 5 + 1), 10, 2);
}

static void add_time(struct words *w)
{
    struct timespec t = {0};
    int64_t s;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    s = t.tv_sec % 86400;
    add_date(w, t.tv_sec / 86400);
    add(w, "T");
    add_number(w, (uint64_t)s / 3600, 10, 2);
    add(w, ":");
    add_number(w, (uint64_t)s / 60 % 60, 10, 2);
    add(w, ":");
    add_number(w, (uint64_t)s % 60, 10, 2);
    add(w, ".");
    add_number(w, (uint64_t)t.tv_nsec / 1000000, 10, 3);
    add(w, "Z");
}

/* A name of ours, the kernel's or the linker's: no quotes in it. */
static void add_field(struct words *w, const char *key, const char *text)
{
    add(w, w->json ? ",\"" : " ");
    add(w, key);
    add(w, w->json ? "\":\"" : "=");
    add(w, text);
    add(w, w->json ? "\"" : "");
}

static const char *name_of(int number)
{
    int i;

    for (i = 0; i < SIGNALS; i++)
        if (signals[i].number == number)
            return signals[i].name;
    return "?";
}

static void add_frame(struct words *w, uintptr_t pc)
{
    int i;

    for (i = 0; i < known.file_count; i++)
        if (pc >= known.files[i].base && pc < known.files[i].end) {
            add(w, known.files[i].name);
            add(w, "+");
            add_address(w, pc - known.files[i].base);
            return;
        }
    add_address(w, pc);
}

static void add_frames(struct words *w, void *const *frames, int count)
{
    int i;

    add(w, w->json ? ",\"frames\":[" : "\n");
    for (i = 0; i < count; i++) {
        if (w->json) {
            add(w, i ? ",\"" : "\"");
        } else {
            add(w, "  #");
            add_number(w, (uint64_t)i, 10, 1);
            add(w, " ");
        }
        add_frame(w, (uintptr_t)frames[i]);
        add(w, w->json ? "\"" : "\n");
    }
    add(w, w->json ? "]}\n" : "");
}

/* Who sent it when somebody did, else what was touched. */
static void add_origin(struct words *w, const siginfo_t *info)
{
    struct words text = {.len = 0};

    if (info->si_code <= 0)
        add_number(&text, (uint64_t)info->si_pid, 10, 1);
    else
        add_address(&text, (uintptr_t)info->si_addr);
    add_bytes(&text, "", 1);
    add_field(w, info->si_code <= 0 ? "sent_by" : "address", text.at);
}

static void say(int number, const siginfo_t *info)
{
    static struct words w; /* the stack is small */
    static void *frames[FRAMES];
    char thread[17] = "";

    (void)prctl(PR_GET_NAME, thread);
    w.json = log_is_json();
    add(&w, w.json ? "{\"time\":\"" : "");
    add_time(&w);
    add(&w, w.json ? "\",\"level\":\"error\",\"event\":\"crashed\"" : " ERROR crashed");
    add_field(&w, "signal", name_of(number));
    add_field(&w, "thread", thread);
    add_origin(&w, info);
    add_field(&w, "version", known.version);
    add_field(&w, "build_id", known.build_id);
    add_frames(&w, frames, backtrace(frames, FRAMES));
    (void)!write(STDERR_FILENO, w.at, w.len);
}

/* Back to what the signal does by itself. A fault comes again by the instruction that is tried
   again, so that the core shows it; what was sent is sent again, and comes when we return. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    static atomic_flag taken = ATOMIC_FLAG_INIT;

    (void)context;
    if (atomic_flag_test_and_set(&taken))
        for (;;) /* another thread was first, and ends the process */
            (void)pause();
    say(number, info);
    (void)signal(number, SIG_DFL);
    if (info->si_code <= 0)
        (void)raise(number);
}

/* ---- the door ---- */

static void thread_begins(void)
{
    sigset_t set;
    int i;

    sigemptyset(&set);
    for (i = 0; i < SIGNALS; i++)
        sigaddset(&set, signals[i].number);
    thread_stack = mem_alloc(STACK);
    use_stack(thread_stack);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void thread_ends(void)
{
    if (!thread_stack)
        return;
    use_stack(NULL);
    mem_free(thread_stack);
    thread_stack = NULL;
}

void crash_open(const char *version)
{
    struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK}, before;
    void *first[1];
    int i;

    if (sigaction(SIGSEGV, NULL, &before) || before.sa_handler != SIG_DFL)
        return;
    strncpy(known.version, version, sizeof(known.version) - 1);
    known.file_count = 0;
    (void)dl_iterate_phdr(on_file, NULL);
    (void)backtrace(first, 1); /* loads what it needs: later there may be no memory */
    sigfillset(&a.sa_mask);
    for (i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i].number, &a, NULL);
    thread_around(thread_begins, thread_ends);
    thread_begins();
}

void crash_close(void)
{
    thread_ends();
}
