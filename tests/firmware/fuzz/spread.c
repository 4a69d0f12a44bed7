/* Hostile neighbours and a hostile service port against spread.c, for AddressSanitizer and UBSan.
 *
 *     spread SESSIONS SEED
 *
 * The rendered image holds genome 1 in slot A; valid.inc holds genome 2 as whoever has the key packs it. Whatever is said, in whatever order: slot A is
 * never touched, nothing outside slot B is written, and the cell starts anew only if slot B is genome 2, to the byte. A neighbour that says what is
 * right is believed: or nothing would be shown here.
 */
#include "spread.c"

#include "draw.h"

#include <setjmp.h>
#include <string.h>

static const uint8_t valid[NCA_SLOT_BYTES] = {
#include "valid.inc"
};

static uint8_t first[2 * NCA_SLOT_BYTES];
static uint8_t stream[8192];
static uint32_t stream_at, stream_end;
static jmp_buf restarted;
static uint32_t taken, written;

static uint8_t *slots(void)
{
    return (uint8_t *)(uintptr_t)nca_slots;
}

/* the board */

void board_page(uint16_t offset, const uint8_t *bytes)
{
    if (offset % NCA_PAGE != 0 || offset < NCA_SLOT_BYTES || offset + NCA_PAGE > 2 * NCA_SLOT_BYTES) {
        fail("a page is written that is none of the slot that does not run");
    }
    memcpy(slots() + offset, bytes, NCA_PAGE);
    written++;
}

void board_forget(uint16_t offset)
{
    if (offset != NCA_SLOT_BYTES) {
        fail("a page is erased that is not the first of the slot that does not run");
    }
    memset(slots() + offset, 0xff, NCA_PAGE);
}

void board_restart(void)
{
    longjmp(restarted, 1);
}

uint8_t board_hears(uint16_t microseconds)
{
    (void)microseconds;
    return stream_at < stream_end && below(50) != 0;
}

uint8_t board_heard(void)
{
    return stream_at < stream_end ? stream[stream_at++] : 0;
}

void board_report(uint8_t byte)
{
    (void)byte;
}

/* what is said */

static void name_of_valid(int8_t *codes)
{
    nca_slot_head head;
    memcpy(&head, valid, sizeof head);
    name(codes, &head);
}

static void make_part(uint8_t number, uint8_t part, int8_t *codes)
{
    number = (uint8_t)(number % NCA_SLOT_PAGES);
    codes[0] = (int8_t)number;
    codes[1] = (int8_t)part;
    codes[2] = (int8_t)below(256);
    for (uint8_t k = 0; k < PART_BYTES; k++) {
        const uint32_t at = part * PART_BYTES + k;
        codes[3 + k] = (int8_t)((at < NCA_PAGE ? valid[number * NCA_PAGE + at] : 0) ^ codes[2]);
    }
}

/* One thing that may be said: right, nearly right, or anything. */
static uint8_t say(int8_t *codes, uint32_t wrong)
{
    const uint32_t kind = below(100);
    uint8_t what = NCA_SPREAD_PART;

    for (uint8_t k = 0; k < NCA_CHANNELS(0); k++) {
        codes[k] = (int8_t)(below(2) ? below(256) : below(16));
    }
    if (kind < 70) {
        uint8_t part = (uint8_t)below(PARTS);
        while (s.from != NOBODY && s.missing != 0 && (s.missing >> part & 1) == 0) {
            part = (uint8_t)((part + 1u) % PARTS);
        }
        make_part(s.from == NOBODY || below(20) == 0 ? (uint8_t)below(NCA_SLOT_PAGES) : s.at, part, codes);
    } else if (kind < 85) {
        what = NCA_SPREAD_OFFER;
        name_of_valid(codes);
    } else if (kind < 90) {
        what = NCA_SPREAD_WANT;
        copy(codes + 3, s.mine, WANTED_CODES);
    } else {
        what = (uint8_t)(NCA_SPREAD | below(8));
    }
    if (wrong != 0 && below(wrong) == 0) {
        codes[below(NCA_CHANNELS(0))] ^= (int8_t)(1u << below(8));
    }
    return what;
}

static void fill_stream(uint32_t wrong)
{
    stream_at = stream_end = 0;
    while (stream_end + 64 < sizeof stream && below(30) != 0) {
        int8_t codes[NCA_CHANNELS(0)];
        uint8_t frame[NCA_CHANNELS(0) + 5];
        uint16_t crc = 0;
        frame[0] = NCA_LINK_START;
        frame[1] = say(codes, wrong);
        memcpy(frame + 2, codes, sizeof codes);
        for (uint32_t k = 1; k < sizeof frame - 3; k++) {
            crc = nca_crc16(crc, frame[k]);
        }
        frame[sizeof frame - 3] = crc & 0x7fu;
        frame[sizeof frame - 2] = crc >> 7 & 0x7fu;
        frame[sizeof frame - 1] = (uint8_t)(crc >> 14);
        if (below(10) == 0) {
            frame[below(sizeof frame)] = (uint8_t)draw();
        }
        const uint32_t length = below(20) == 0 ? below(sizeof frame) : sizeof frame;
        memcpy(stream + stream_end, frame, length);
        stream_end += length;
    }
}

static int16_t swallow(int16_t byte)
{
    return byte;
}

static void check(int done)
{
    if (memcmp(slots(), first, NCA_SLOT_BYTES) != 0) {
        fail("the slot that runs has changed");
    }
    if (done && memcmp(slots() + NCA_SLOT_BYTES, valid, NCA_SLOT_BYTES) != 0) {
        fail("the cell starts anew with a genome that nobody has made");
    }
}

static void start(void)
{
    memcpy(slots(), first, sizeof first);
    memset(&s, 0, sizeof s);
    memset(&nca_spread, 0, sizeof nca_spread);
    memset(&kept, (int)below(256), sizeof kept);
    memset(&page, (int)below(256), sizeof page);
    nca_spread_start();
    if (nca_spread.genome != (const nca_genome *)(uintptr_t)nca_slots) {
        fail("the cell does not start with the genome in slot A");
    }
}

int main(int count, char **words)
{
    if (count != 3) {
        return 2;
    }
    const uint32_t sessions = (uint32_t)strtoul(words[1], NULL, 10);
    random_state = strtoull(words[2], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
    memcpy(first, nca_slots, sizeof first);
    for (volatile uint32_t session = 0; session < sessions; session++) {
        volatile const uint32_t wrong = below(4) == 0 ? 0 : 1 + below(200); /* of so many things one is wrong */
        if (setjmp(restarted) != 0) {
            check(1);
            nca_spread_start();
            if (NCA_SLOT(nca_spread.genome)->head.version != 2) {
                fail("the cell does not start with the new genome");
            }
            taken++;
            continue;
        }
        start();
        for (uint32_t step = below(4000); step-- != 0;) {
            int8_t codes[NCA_CHANNELS(0)];
            const uint8_t edge = (uint8_t)below(EDGES);
            const uint32_t what = below(100);
            if (what < 80) {
                const uint8_t head = say(codes, wrong);
                nca_spread_take(s.from < EDGES && below(10) != 0 ? s.from : edge, head, codes);
            } else if (what < 88) {
                if (s.pages[edge] >= NCA_SLOT_PAGES) {
                    fail("a page beyond the slot is given");
                }
                if (nca_spread_owes(edge)) {
                    nca_spread_give(edge, (uint8_t)below(2), codes, swallow);
                }
            } else if (what < 94) {
                fill_stream(wrong);
                nca_spread_wake(codes);
            } else if (nca_spread_is_whole()) {
                nca_spread_keep();
            }
            if (what == 99 && s.from == NOBODY) {
                s.refused = 0; /* as after many wakes */
            }
        }
        check(0);
    }
    printf("%u sessions, %u genomes taken, %u pages written\n", (unsigned)sessions, (unsigned)taken, (unsigned)written);
    if (taken == 0) {
        fail("who says what is right is never believed");
    }
    return 0;
}
