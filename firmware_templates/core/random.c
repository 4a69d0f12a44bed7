/* Random numbers of a cell (spec, section 6), apart from its arithmetic, which a kernel may replace. See cell.h. */
#include "cell.h"

uint32_t nca_random_next(uint32_t s)
{
    s ^= s << 13;
    s ^= s >> 17;
    s ^= s << 5;
    return s;
}

uint32_t nca_random_wait(uint32_t s, uint32_t mean)
{
    return mean - (mean >> 1) + (((s >> 20) * mean) >> 12);
}
