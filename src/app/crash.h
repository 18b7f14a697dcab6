/*
 * crash - the last words of a process that has broken: which signal, where, the way there.
 *
 *   #3 pushca+0x1a2b4    resolves by  addr2line -Cfie pushca 0x1a2b4
 *
 * An offset counts from where the file is mapped, so it fits the file on disk, whatever address the
 * kernel chose; the build id says which file. Then the signal does what it would have done: exit
 * status and core are the kernel's.
 *
 * Thread:  main's. Each thread that is started in between gets a stack for its last words (its own
 *          may be what has run over), and may have these signals, which threads else block.
 * Errors:  where somebody handles SIGSEGV already (a sanitizer), nothing is done.
 */
#pragma once

/* Before any thread is started. */
void crash_open(const char *version);
void crash_close(void);
