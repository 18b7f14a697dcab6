#include "base/clock.h"

#include "fake.h"

static int64_t now_ms = 1000000;

void fake_clock_advance(int64_t ms)
{
    now_ms += ms;
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
