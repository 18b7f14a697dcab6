/*
 * random - random schedules against a model: who should have got what, exactly once, in order.
 */
#pragma once

/* "seed=N steps=N": clients come and go, send to random filters, exclude, ask for one in rotation.
 */
void random_run(const char *options);
