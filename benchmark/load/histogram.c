#include "load/histogram.h"

/* Values below HISTOGRAM_FINE have a cell each; above, each octave has HISTOGRAM_FINE / 2 of them.
 */
static uint32_t cell_of(uint64_t ns)
{
    uint32_t octave, cell;

    if (ns < HISTOGRAM_FINE)
        return (uint32_t)ns;
    octave = 63 - (uint32_t)__builtin_clzll(ns) - 7;
    cell = octave * (HISTOGRAM_FINE / 2) + (uint32_t)(ns >> octave);
    if (cell >= HISTOGRAM_OCTAVES * HISTOGRAM_FINE)
        cell = HISTOGRAM_OCTAVES * HISTOGRAM_FINE - 1;
    return cell;
}

static uint64_t highest_of(uint32_t cell)
{
    uint32_t octave;

    if (cell < HISTOGRAM_FINE)
        return cell;
    octave = cell / (HISTOGRAM_FINE / 2) - 1;
    return (((uint64_t)cell - octave * (HISTOGRAM_FINE / 2) + 1) << octave) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->of[cell_of(ns)]++;
    h->count++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

double histogram_us(const struct histogram *h, double share)
{
    double wanted = share * (double)h->count;
    uint64_t seen = 0;
    uint32_t i;

    for (i = 0; i < HISTOGRAM_OCTAVES * HISTOGRAM_FINE; i++) {
        seen += h->of[i];
        if (seen && (double)seen >= wanted) {
            uint64_t ns = highest_of(i);

            return (double)(ns < h->max_ns ? ns : h->max_ns) / 1000;
        }
    }
    return 0;
}
