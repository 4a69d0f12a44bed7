/* What goes over an edge, read off its wires (docs/protocol.md): who lets go first of two pulled wires has given that wire's bit. */
#include "engine.h"

/* A receiver gives up a frame after many looks; whoever resumes later than this begins a new one. */
#define FRAME_GAP 300000000000u

/* An answer may cross: an end lets go of the asking wire just when the other one, which has seen it low, is about to answer, and does so
 * with a short pulse when the asker pulls nothing any more. It is an answer to the asker all the same. How late, and how short. */
#define CROSSING 20000000000u

/* An event at the end that takes. */
static nca_array_event *tell_taker(nca_array *a, uint8_t kind, uint32_t number, uint32_t direction, const edge *e, uint64_t time)
{
    const uint32_t east_or_south = (uint32_t)a->config.neighbour[number * NCA_EDGES + direction];
    nca_array_event *event = nca_tell(a, kind, e->sender ? number : east_or_south, time);
    event->a = (uint8_t)(e->sender ? direction : direction ^ 2u);
    return event;
}

static void frame_ends(nca_array *a, uint32_t number, uint32_t direction, edge *e, uint64_t time)
{
    if (!e->busy) {
        return;
    }
    e->busy = 0;
    if (e->bits == 0) {
        a->work.vain++;
        return;
    }
    const uint8_t kind = e->bits == 8u * a->config.frame_bytes ? NCA_FRAME : NCA_FRAME_BROKEN;
    nca_array_event *event = tell_taker(a, kind, number, direction, e, time);
    event->cycles = e->bits;
    memcpy(event->data, e->data, sizeof e->data);
}

/* An end has let go of a wire that the other end has answered, or was about to: the asking, or a bit. */
static void answered(nca_array *a, uint32_t number, uint32_t direction, edge *e, uint8_t end, uint8_t wire, uint64_t time)
{
    if (e->busy && (e->sender != end || time - e->last > FRAME_GAP)) {
        frame_ends(a, number, direction, e, time);
    }
    if (!e->busy) { /* the asking */
        e->busy = 1;
        e->sender = end;
        e->bits = 0;
        memset(e->data, 0, sizeof e->data);
    } else {
        if (e->bits == 0) {
            tell_taker(a, NCA_FRAME_BEGINS, number, direction, e, time);
        }
        e->data[e->bits / 8] |= (uint8_t)((wire >> 1) << (e->bits % 8));
        e->bits++;
        if (e->bits == 8u * a->config.frame_bytes) {
            frame_ends(a, number, direction, e, time);
        }
    }
    e->last = time;
}

static void edge_changes(nca_array *a, uint32_t number, uint32_t direction, uint8_t end, uint8_t pulls, uint64_t time)
{
    edge *e = &a->edges[2 * number + direction - 1];
    const uint8_t before = e->pulls[end];
    const uint8_t mine = before & (uint8_t)~pulls, new = pulls & (uint8_t)~before;
    const uint8_t alone = e->pulls[end ^ 1] == 0, crosses = e->crosses;
    e->pulls[end] = pulls;
    e->crosses = 0;
    if (e->both && mine) {
        e->both = 0;
        answered(a, number, direction, e, end, mine, time);
    } else if (mine && alone) {
        if (e->busy && e->sender == end) {
            frame_ends(a, number, direction, e, time); /* nobody answered */
        }
        if (crosses && time - e->last_pull < CROSSING) {
            answered(a, number, direction, e, end ^ 1, mine ^ 3u, time);
        }
        e->let_go = mine;
        e->let_go_by = end;
        e->let_go_at = time;
    } else if (new && alone) {
        e->crosses = end != e->let_go_by && new == (e->let_go ^ 3u) && time - e->let_go_at < CROSSING;
        e->last_pull = time;
    }
    if ((e->pulls[0] | e->pulls[1]) == 3 && e->pulls[0] != 0 && e->pulls[1] != 0 && (e->pulls[0] & e->pulls[1]) == 0) {
        e->both = 1;
    }
}

static int by_time(const void *left, const void *right)
{
    const pull *l = left, *r = right;
    if (l->time != r->time) {
        return l->time < r->time ? -1 : 1;
    }
    return l->chip < r->chip ? -1 : l->chip > r->chip;
}

void nca_edges_read(nca_array *a)
{
    if (a->pull_count > 1) {
        qsort(a->pulls, a->pull_count, sizeof *a->pulls, by_time);
    }
    for (size_t i = 0; i < a->pull_count; i++) {
        const pull *one = &a->pulls[i];
        for (uint32_t direction = 0; direction < NCA_EDGES; direction++) {
            const uint8_t before = one->before >> (2 * direction) & 3, after = one->after >> (2 * direction) & 3;
            const int32_t other = a->config.neighbour[one->chip * NCA_EDGES + direction];
            if (before == after || other == NCA_NOBODY) {
                continue;
            }
            if (direction == 1 || direction == 2) {
                edge_changes(a, one->chip, direction, 0, after, one->time);
            } else {
                edge_changes(a, (uint32_t)other, direction ^ 2u, 1, after, one->time);
            }
        }
    }
    a->pull_count = 0;
}

void nca_edges_end(nca_array *a, uint32_t number, uint64_t time)
{
    nca_edges_read(a);
    for (uint32_t direction = 0; direction < NCA_EDGES; direction++) {
        const int32_t other = a->config.neighbour[number * NCA_EDGES + direction];
        if (other == NCA_NOBODY) {
            continue;
        }
        const uint32_t owner = direction == 1 || direction == 2 ? number : (uint32_t)other;
        const uint32_t as = direction == 1 || direction == 2 ? direction : direction ^ 2u;
        frame_ends(a, owner, as, &a->edges[2 * owner + as - 1], time);
        a->edges[2 * owner + as - 1].both = 0;
        a->edges[2 * owner + as - 1].crosses = 0;
    }
}

