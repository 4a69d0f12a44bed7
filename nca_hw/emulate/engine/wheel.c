/* Who is due when: a wheel of windows, a list of chips a window. See engine.h. */
#include "engine.h"

void nca_wheel_leave(nca_array *a, chip *c)
{
    if (!c->queued) {
        return;
    }
    if (c->previous != NCA_NOBODY) {
        a->chips[c->previous].next = c->next;
    } else {
        a->slots[c->slot] = c->next;
        if (c->next == NCA_NOBODY) {
            a->occupied[c->slot / 64] &= ~(UINT64_C(1) << (c->slot % 64));
        }
    }
    if (c->next != NCA_NOBODY) {
        a->chips[c->next].previous = c->previous;
    }
    c->queued = 0;
}

/* To be looked at in a later window than the one under way, or (earliest) in it. */
void nca_wheel_enter(nca_array *a, chip *c, uint64_t due, uint64_t earliest)
{
    c->due = due;
    if (due == NEVER) {
        return;
    }
    uint64_t window = due >> a->shift;
    if (window < earliest) {
        window = earliest;
    }
    if (window > a->window + SLOTS - 1) {
        window = a->window + SLOTS - 1;
    }
    const uint32_t slot = (uint32_t)(window % SLOTS);
    c->slot = slot;
    c->previous = NCA_NOBODY;
    c->next = a->slots[slot];
    if (c->next != NCA_NOBODY) {
        a->chips[c->next].previous = (int32_t)c->number;
    }
    a->slots[slot] = (int32_t)c->number;
    a->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
    c->queued = 1;
}

/* The first window from a->window on, up to `last`, whose slot holds somebody. */
uint64_t nca_wheel_next(const nca_array *a, uint64_t last)
{
    for (uint64_t window = a->window; window < last;) {
        const unsigned slot = (unsigned)(window % SLOTS);
        const uint64_t word = a->occupied[slot / 64] >> (slot % 64);
        if (word != 0) {
            window += (uint64_t)__builtin_ctzll(word);
            return window < last ? window : last;
        }
        window += 64 - slot % 64;
        if (window >= a->window + SLOTS) {
            break;
        }
    }
    return last;
}
