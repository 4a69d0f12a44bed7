/* See spread.h. */
#include "spread.h"

#include "chaskey.h"
#include "flash.h"

#define PORT EDGES      /* the service port, as one more edge */
#define SOURCES (EDGES + 1u)
#define NOBODY 0xffu
#define VERSION_CODES 5u
#define NAME_CODES 14u  /* a genome's version and 9 bytes of its tag, 7 bits each */
#define WANTED_CODES 13u /* of them in a request */
#define PART_BYTES 13u
#define PARTS 10u
#define ALL_PARTS ((1u << PARTS) - 1u)
#define TELL 1          /* in an offer: tell me yours */
#define OFFER_WAKES 16u /* between two offers that nobody has asked for */
#define PAGES_A_WAKE 4u /* that a cell asks for: most of the time between two updates is left to states */
#define PATIENCE 4u     /* wakes without a new part after which another neighbour with the same genome is asked */
#define GIVE_UP 64u
#define ANSWER_US 60000u /* within which whoever is at the service port must begin to answer */
#define SILENCE_US 3000u
#define HEARD_AT_MOST 64u /* frames and stray bytes of a wake */

struct nca_spread nca_spread;

static const NCA_ROM uint32_t secret[4] = { NCA_KEY };
static uint32_t key[4]; /* the same, within reach of pointers */

static union {
    uint8_t bytes[NCA_PAGE];
    nca_slot_head head;
} kept, page; /* the first page of the genome that is coming; the page that is */

static struct {
    int8_t mine[NAME_CODES];             /* all 0 where no genome runs */
    int8_t offers[SOURCES][NAME_CODES];
    int8_t target[NAME_CODES];           /* what is being taken */
    uint16_t parts[EDGES];               /* owed to neighbours */
    uint8_t pages[EDGES];                /* of these pages */
    uint16_t missing;                    /* parts of the page that is coming */
    uint8_t from;                        /* whom it comes from, or NOBODY */
    uint8_t at;                          /* number of the page */
    uint8_t waited;                      /* wakes without a new part */
    uint8_t wakes;
    uint8_t allowed;                     /* pages that it may still ask for before its next update */
    uint8_t unknown;                     /* sources that have made no offer yet, a bit each */
    uint8_t refused;                     /* whose offers were no good */
    uint8_t owes_offer;
    uint8_t owes_want;
    uint8_t other;                       /* the slot that does not run */
    uint8_t is_silent;                   /* nobody speaks at the service port any more */
} s;

/* Less than, equal to, more than 0, like memcmp, for codes that are not negative. */
static int8_t compare(const int8_t *a, const int8_t *b, uint8_t count)
{
    for (uint8_t k = 0; k < count; k++) {
        if (a[k] != b[k]) {
            return a[k] < b[k] ? -1 : 1;
        }
    }
    return 0;
}

static void copy(int8_t *to, const int8_t *from, uint8_t count)
{
    for (uint8_t k = 0; k < count; k++) {
        to[k] = from[k];
    }
}

/* What an offer tells of a genome. */
static void name(int8_t *codes, const nca_slot_head *slot)
{
    uint32_t version = slot->version;

    for (uint8_t k = VERSION_CODES; k-- != 0;) {
        codes[k] = (int8_t)(version & 0x7fu);
        version >>= 7;
    }
    for (uint8_t k = VERSION_CODES; k < NAME_CODES; k++) {
        codes[k] = (int8_t)(slot->head_tag[k - VERSION_CODES] & 0x7fu);
    }
}

static const NCA_ROM uint8_t *slot_at(uint8_t slot)
{
    return nca_slots + (slot != 0 ? NCA_SLOT_STRIDE : 0);
}

static void read_page(uint8_t *to, const NCA_ROM uint8_t *from, uint8_t count)
{
    for (uint8_t k = 0; k < count; k++) {
        to[k] = from[k];
    }
}

static uint8_t is_tag(const uint32_t *v, const uint8_t *tag)
{
    uint8_t differs = 0;

    for (uint8_t k = 0; k < NCA_TAG; k++) { /* all of them, however many are wrong */
        differs |= (uint8_t)((uint8_t)(v[k / 4] >> (8 * (k % 4))) ^ tag[k]);
    }
    return differs == 0;
}

/* A first page as it must be: made by who has the key, and for a cell of this shape. What is read as an index or a shift is within its range. */
static uint8_t head_is_right(const uint8_t *bytes, const nca_slot_head *slot)
{
    uint32_t v[4];

    nca_chaskey_begin(v, key);
    for (uint8_t at = 0; at < NCA_PAGE - NCA_TAG; at = (uint8_t)(at + NCA_CHASKEY_BLOCK)) {
        nca_chaskey_block(v, key, bytes + at, at == NCA_PAGE - NCA_TAG - NCA_CHASKEY_BLOCK);
    }
    return is_tag(v, slot->head_tag) && slot->magic == NCA_SLOT_MAGIC && slot->format == NCA_SLOT_FORMAT && slot->version != 0
        && slot->channels == NCA_CHANNELS(0) && slot->hidden == NCA_HIDDEN(0) && slot->kernels == NCA_SLOT_SHAPE
        && slot->pages == NCA_SLOT_PAGES && slot->s1 >= 1 && slot->s1 <= 24 && slot->s2 >= 12 && slot->s2 <= 30
        && slot->alpha < NCA_CHANNELS(0) && slot->alive >= 0 && (slot->tap_shift == 0 || slot->tap_shift == 2);
}

static uint8_t body_is_right(uint8_t slot, const uint8_t *tag)
{
    const NCA_ROM uint8_t *from = slot_at(slot) + NCA_PAGE;
    uint8_t block[NCA_CHASKEY_BLOCK];
    uint32_t v[4];

    nca_chaskey_begin(v, key);
    for (uint16_t left = NCA_SLOT_BYTES - NCA_PAGE; left != 0;) {
        left = (uint16_t)(left - NCA_CHASKEY_BLOCK);
        read_page(block, from, NCA_CHASKEY_BLOCK);
        from += NCA_CHASKEY_BLOCK;
        nca_chaskey_block(v, key, block, left == 0);
    }
    return is_tag(v, tag);
}

void nca_spread_start(void)
{
    uint8_t tried = 0; /* slots, a bit each */

    for (uint8_t k = 0; k < 4; k++) {
        key[k] = secret[k];
    }
    s.from = NOBODY;
    s.unknown = (1u << SOURCES) - 1u;
    s.owes_offer = (1u << SOURCES) - 1u;
    for (;;) {
        uint8_t best = NOBODY;
        uint32_t version = 0;
        for (uint8_t slot = 0; slot < 2; slot++) {
            read_page(page.bytes, slot_at(slot), NCA_PAGE);
            if ((tried >> slot & 1) == 0 && head_is_right(page.bytes, &page.head) && page.head.version > version) {
                version = page.head.version;
                best = slot;
            }
        }
        if (best == NOBODY) {
            return;
        }
        read_page(page.bytes, slot_at(best), NCA_PAGE);
        if (body_is_right(best, page.head.body_tag)) {
            nca_spread.genome = (const nca_genome *)(uintptr_t)slot_at(best);
            s.other = best ^ 1u;
            name(s.mine, &page.head);
            return;
        }
        tried = (uint8_t)(tried | 1u << best);
    }
}

/* Whether a source has a newer genome than this cell, and one that was not refused. */
static uint8_t is_newer(uint8_t source)
{
    return ((s.unknown | s.refused) >> source & 1) == 0 && compare(s.offers[source], s.mine, VERSION_CODES) > 0;
}

/* Begins to take the newest genome that is offered, if it is newer than this cell's. */
static void consider(void)
{
    for (uint8_t source = 0; source < SOURCES; source++) {
        if (is_newer(source) && (s.from == NOBODY || compare(s.offers[source], s.offers[s.from], VERSION_CODES) > 0)) {
            s.from = source;
        }
    }
    if (s.from != NOBODY) {
        copy(s.target, s.offers[s.from], NAME_CODES);
        s.at = 0;
        s.missing = ALL_PARTS;
        s.waited = 0;
        s.owes_want = (uint8_t)(1u << s.from);
    }
}

/* Another source of the genome that is coming, after the one that has fallen silent. */
static void ask_another(void)
{
    uint8_t source = s.from;

    do {
        source = source + 1u == SOURCES ? 0 : (uint8_t)(source + 1u);
    } while (source != s.from && !(is_newer(source) && compare(s.offers[source], s.target, NAME_CODES) == 0));
    s.from = source;
}

static void refuse(void)
{
    s.refused = (uint8_t)(s.refused | 1u << s.from);
    s.from = NOBODY;
}

/* Silence is no proof against a genome: the next offer of whoever fell silent counts as its first. */
static void forget(void)
{
    s.unknown = (uint8_t)(s.unknown | 1u << s.from);
    s.from = NOBODY;
}

static void take_part(const int8_t *codes)
{
    const uint8_t part = (uint8_t)codes[1];
    uint8_t to = (uint8_t)(part * PART_BYTES);

    if (codes[0] != (int8_t)s.at || part >= PARTS || (s.missing >> part & 1) == 0) {
        return;
    }
    for (uint8_t k = 0; k < PART_BYTES && to < NCA_PAGE; k++) {
        page.bytes[to++] = (uint8_t)(codes[3 + k] ^ codes[2]);
    }
    s.missing = (uint16_t)(s.missing ^ 1u << part);
    s.waited = 0;
}

uint8_t nca_spread_take(uint8_t source, uint8_t what, const int8_t *codes)
{
    const uint8_t bit = (uint8_t)(1u << source);

    if (what == NCA_SPREAD_OFFER) {
        if (compare(s.offers[source], codes, NAME_CODES) != 0) {
            s.refused &= (uint8_t)~bit;
        }
        copy(s.offers[source], codes, NAME_CODES);
        s.unknown &= (uint8_t)~bit;
        if (codes[NAME_CODES] & TELL) {
            s.owes_offer |= bit;
        }
        nca_spread.same &= (uint8_t)~bit;
        if (compare(codes, s.mine, NAME_CODES) == 0) {
            nca_spread.same |= bit;
        }
        if (s.from == NOBODY) {
            consider();
        }
        return (nca_spread.same & bit) == 0;
    }
    if (what == NCA_SPREAD_WANT && source != PORT && nca_spread.genome != 0 && compare(codes + 3, s.mine, WANTED_CODES) == 0
        && (uint8_t)codes[0] < NCA_SLOT_PAGES) {
        s.pages[source] = (uint8_t)codes[0];
        s.parts[source] = (uint16_t)(((uint16_t)codes[1] & 0x7fu) | ((uint16_t)codes[2] & 0x7u) << 7);
    } else if (what == NCA_SPREAD_PART && source == s.from) {
        take_part(codes);
    }
    return 0;
}

uint8_t nca_spread_owes(uint8_t edge)
{
    return ((s.owes_offer | s.owes_want) >> edge & 1) != 0 || s.parts[edge] != 0;
}

static void give_offer(uint8_t source, int8_t *codes, nca_link_move *move)
{
    copy(codes, s.mine, NAME_CODES);
    codes[NAME_CODES] = s.unknown >> source & 1 ? TELL : 0;
    codes[NAME_CODES + 1] = 0;
    if (nca_link_frame(nca_spread.genome, NCA_SPREAD_OFFER, codes, move)) {
        s.owes_offer &= (uint8_t)~(1u << source);
    }
}

static void give_want(uint8_t source, int8_t *codes, nca_link_move *move)
{
    codes[0] = (int8_t)s.at;
    codes[1] = (int8_t)(s.missing & 0x7fu);
    codes[2] = (int8_t)(s.missing >> 7);
    copy(codes + 3, s.target, WANTED_CODES);
    if (nca_link_frame(nca_spread.genome, NCA_SPREAD_WANT, codes, move)) {
        s.owes_want &= (uint8_t)~(1u << source);
    }
}

static void give_part(uint8_t edge, int8_t *codes, nca_link_move *move)
{
    const NCA_ROM uint8_t *from = (const NCA_ROM uint8_t *)NCA_SLOT(nca_spread.genome) + s.pages[edge] * NCA_PAGE;
    uint8_t part = 0, mask = 0;

    while ((s.parts[edge] >> part & 1) == 0) {
        part++;
    }
    from += (uint8_t)(part * PART_BYTES);
    for (uint8_t k = 0; k < PART_BYTES; k++) {
        codes[3 + k] = part * PART_BYTES + k < NCA_PAGE ? (int8_t)from[k] : 0;
    }
    for (uint8_t k = 0; k < PART_BYTES;) { /* of 14 masks one at least lets no byte become that of a start */
        if ((uint8_t)((uint8_t)codes[3 + k] ^ mask) == NCA_LINK_START) {
            mask++;
            k = 0;
        } else {
            k++;
        }
    }
    for (uint8_t k = 0; k < PART_BYTES; k++) {
        codes[3 + k] = (int8_t)(codes[3 + k] ^ (int8_t)mask);
    }
    codes[0] = (int8_t)s.pages[edge];
    codes[1] = (int8_t)part;
    codes[2] = (int8_t)mask;
    if (nca_link_frame(nca_spread.genome, NCA_SPREAD_PART, codes, move)) {
        s.parts[edge] = (uint16_t)(s.parts[edge] & ~(1u << part));
    }
}

uint8_t nca_spread_give(uint8_t edge, uint8_t has_states, int8_t *codes, nca_link_move *move)
{
    if (s.owes_offer >> edge & 1) {
        give_offer(edge, codes, move);
    } else if (has_states) {
        return 0;
    } else if (s.owes_want >> edge & 1) {
        give_want(edge, codes, move);
    } else if (s.parts[edge] != 0) {
        give_part(edge, codes, move);
    } else {
        return 0;
    }
    return 1;
}

static int16_t at_port(int16_t byte)
{
    if (byte >= 0) {
        board_report((uint8_t)byte);
        return byte;
    }
    s.is_silent = !board_hears(SILENCE_US);
    return s.is_silent ? NCA_LINK_NOTHING : board_heard();
}

/* Frames at the service port, until there is silence, or a page is whole. */
static void listen(int8_t *codes)
{
    s.is_silent = 0;
    for (uint8_t heard = 0; heard < HEARD_AT_MOST && !s.is_silent; heard++) {
        const uint8_t what = nca_link_frame(nca_spread.genome, 0, codes, at_port);
        if ((what & ~NCA_LINK_DETAIL) == NCA_SPREAD) {
            nca_spread_take(PORT, what, codes);
            if (s.from == PORT && s.missing == 0) {
                return;
            }
        }
    }
}

uint8_t nca_spread_is_whole(void)
{
    return s.from != NOBODY && s.missing == 0;
}

void nca_spread_keep(void)
{
    const uint16_t slot = s.other != 0 ? NCA_SLOT_STRIDE : 0;

    if (s.at == 0) {
        int8_t codes[NAME_CODES];
        name(codes, &page.head);
        if (!head_is_right(page.bytes, &page.head) || compare(codes, s.target, NAME_CODES) != 0) {
            refuse();
            return;
        }
        for (uint8_t k = 0; k < NCA_PAGE; k++) {
            kept.bytes[k] = page.bytes[k];
        }
        board_forget(slot);
    } else {
        board_page((uint16_t)(slot + s.at * NCA_PAGE), page.bytes);
    }
    s.at++;
    s.missing = ALL_PARTS;
    if (s.at != NCA_SLOT_PAGES) {
        if (s.from != PORT && s.allowed != 0) {
            s.allowed--;
            s.owes_want = (uint8_t)(1u << s.from);
        }
        return;
    }
    if (body_is_right(s.other, kept.head.body_tag)) {
        board_page(slot, kept.bytes);
        board_restart();
    }
    refuse();
}

void nca_spread_wake(int8_t *codes)
{
    s.wakes++;
    if (s.wakes % OFFER_WAKES == 0) {
        s.owes_offer = (1u << SOURCES) - 1u;
    }
    if (s.wakes == 0) {
        s.refused = 0; /* it may have been bad luck */
    }
    s.allowed = PAGES_A_WAKE - 1u;
    if (nca_spread_is_whole()) {
        nca_spread_keep();
    }
    if (s.from != NOBODY && ++s.waited >= GIVE_UP) {
        forget();
    }
    if (s.from == NOBODY) { /* others are considered before who was forgotten can speak again */
        consider();
    } else if (s.waited % PATIENCE == 0) {
        ask_another();
    }
    if (board_hears(0)) {
        listen(codes);
    }
    if (s.owes_offer >> PORT & 1) {
        give_offer(PORT, codes, at_port);
    }
    s.owes_want = 0;
    if (s.from == PORT && s.missing != 0) {
        give_want(PORT, codes, at_port);
        if (board_hears(ANSWER_US)) {
            listen(codes);
        }
    } else if (s.from != NOBODY && s.missing != 0) {
        s.owes_want = (uint8_t)(1u << s.from);
    }
}
