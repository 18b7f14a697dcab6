#include "base/clock.h"

#include "fake.h"

enum { FIRST_MS = 1000000 };

static int64_t now_ms = FIRST_MS;

void fake_clock_advance(int64_t ms)
{
    now_ms += ms;
}

void fake_clock_reset(void)
{
    now_ms = FIRST_MS;
}

int64_t clock_mono_ms(void)
{
    return now_ms;
}

int64_t clock_mono_us(void)
{
    return now_ms * 1000;
}

int64_t clock_wall_ms(void)
{
    return INT64_C(1694434491986) + now_ms;
}
