/*
 * libraries - what the libraries load when first used and keep until the process ends: done before
 * anything is counted, so that all that is left at the end of a run was left by the server.
 *
 * Thread:  main, before the first run.
 */
#pragma once

void libraries_load(void);
