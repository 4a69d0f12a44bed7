/* Hostile bytes and hostile wires against the receive path of the rendered main.c, link.c and wire.c, for AddressSanitizer and UBSan. What is
 * hostile is drawn: by drawn.c from a generator, by guided_strings.c and guided_peers.c
 * by libFuzzer, which keeps what reaches further.
 *
 * Whether a frame is sound is decided here, from docs/protocol.md, bit by bit and not as link.c does it: without one nothing of the cell may change but
 * the scratch of an unfinished frame; with one exactly what it says.
 */
#define main cell_main
#include "main.c"
#undef main

#include "draw.h"

#include <string.h>

#define BODY (NCA_CHANNELS(GENOME) + 1)
#define SIZE (BODY + 4)
#define LONGEST 64

/* what is sound */

/* The remainder of the message times x^16 by x^16 + x^12 + x^5 + 1, by long division. */
static uint32_t remainder_of(const uint8_t *bytes, int count)
{
    uint32_t rest = 0;

    for (int bit = 0; bit < 8 * count + 16; bit++) {
        const uint32_t next = bit < 8 * count ? (uint32_t)(bytes[bit / 8] >> (7 - bit % 8)) & 1u : 0;
        rest = rest << 1 | next;
        if (rest & 0x10000u) {
            rest ^= 0x11021u;
        }
    }
    return rest;
}

static int is_sound(const uint8_t *bytes, int count)
{
    uint32_t crc;

    if (count < SIZE || bytes[0] != 0x80 || bytes[1] == 0) {
        return 0;
    }
    for (int i = 1; i < SIZE; i++) {
        if (bytes[i] == 0x80) {
            return 0;
        }
    }
    crc = remainder_of(bytes + 1, BODY);
    return bytes[1 + BODY] == crc % 128 && bytes[2 + BODY] == crc / 128 % 128 && bytes[3 + BODY] == crc / 128 / 128;
}

/* what is said */

static void seal(uint8_t *frame)
{
    const uint32_t crc = remainder_of(frame + 1, BODY);

    frame[0] = 0x80;
    frame[1 + BODY] = crc % 128;
    frame[2 + BODY] = crc / 128 % 128;
    frame[3 + BODY] = (uint8_t)(crc / 128 / 128);
}

static int make(uint8_t *frame)
{
    static const uint8_t heads[] = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x20, 0x21, 0x28, 0x90, 0xf0, 0x01 };

    frame[1] = heads[below(sizeof heads)];
    for (int c = 0; c < NCA_CHANNELS(GENOME); c++) {
        frame[2 + c] = (uint8_t)draw(); /* a start too, sometimes: not sound, for all its CRC */
    }
    seal(frame);
    return SIZE;
}

/* Sound frames, and what bit flips, cuts, losses, repetitions and splices make of them; or anything. */
static int string(uint8_t *bytes)
{
    uint8_t other[LONGEST];
    int count = make(bytes);

    if (below(8) == 0) {
        count = (int)below(LONGEST);
        for (int i = 0; i < count; i++) {
            bytes[i] = (uint8_t)draw();
        }
        if (count != 0 && below(2)) {
            bytes[0] = 0x80;
        }
    }
    for (uint32_t times = below(4); times != 0 && count != 0; times--) {
        const int at = (int)below((uint32_t)count), length = 1 + (int)below((uint32_t)(count - at));
        switch (below(7)) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << below(8));
            break;
        case 1:
            bytes[at] = (uint8_t)draw();
            break;
        case 2:
            count = at;
            break;
        case 3: /* lost */
            memmove(bytes + at, bytes + at + length, (size_t)(count - at - length));
            count -= length;
            break;
        case 4: /* said twice */
            if (count + length <= LONGEST) {
                memmove(bytes + at + length, bytes + at, (size_t)(count - at));
                count += length;
            }
            break;
        case 5: /* the tail of another */
            make(other);
            if (at < SIZE) {
                memcpy(bytes + at, other + at, (size_t)(SIZE - at));
                count = SIZE;
            }
            break;
        default:
            bytes[at] = 0x80;
        }
    }
    return count;
}

/* bytes */

static uint8_t said[LONGEST];
static int said_count, said_at;

static int16_t hear(int16_t byte)
{
    if (byte >= 0) {
        fail("who takes gives");
    }
    return said_at < said_count ? said[said_at++] : NCA_LINK_NOTHING;
}

static void take_what_is_said(void)
{
    struct {
        uint8_t before[16];
        int8_t codes[NCA_CHANNELS(GENOME)];
        uint8_t after[16];
    } guarded;
    uint8_t head;

    memset(&guarded, 0x5a, sizeof guarded);
    said_at = 0;
    head = nca_link_frame(GENOME, 0, guarded.codes, hear);
    for (int i = 0; i < 16; i++) {
        if (guarded.before[i] != 0x5a || guarded.after[i] != 0x5a) {
            fail("written outside the codes");
        }
    }
    if (is_sound(said, said_count)) {
        if (head != said[1] || memcmp(guarded.codes, said + 2, sizeof guarded.codes) != 0 || said_at != SIZE) {
            fail("a sound frame was not taken as it is");
        }
    } else if (head != 0) {
        fail("a frame was taken that is not sound");
    }
}

/* wires */

enum peer_state { PEER_RESTS, PEER_ASKS, PEER_RELEASED, PEER_PULLS, PEER_ACKNOWLEDGED, PEER_TAKES, PEER_ANSWERS, PEER_FREE };

static uint8_t pulled[EDGES], levels_seen; /* by the cell; at its last look */
static uint8_t peer_edge, peer_pulls, candidate;
static enum peer_state peer;
static int peer_bit, peer_wait, malice; /* malice: of 1000 looks */
static uint32_t looks;
static uint8_t bits[SIZE * 8]; /* the last that the cell has taken, in a ring */
static uint32_t bit_count;

/* The other end says its string bit by bit, and sometimes does what it must not. */
static void act(uint8_t levels)
{
    const uint8_t wire = peer_bit < 8 * said_count && said[peer_bit / 8] >> (peer_bit % 8) & 1 ? 2 : 1;

    if ((int)below(1000) < malice) {
        switch (below(7)) {
        case 0:
            peer = PEER_RESTS; /* gone */
            peer_pulls = 0;
            break;
        case 1:
            peer_pulls = 3;
            break;
        case 2:
            peer_pulls = (uint8_t)(1 + below(2));
            break;
        case 3:
            peer_wait = (int)below(2 * NCA_WIRE_PATIENCE); /* stands still, whatever it pulls */
            break;
        case 4:
            peer_bit += (int)below(5) - 2;
            peer_bit = peer_bit < 0 ? 0 : peer_bit;
            break;
        case 5:
            peer = (enum peer_state)below(PEER_FREE + 1);
            break;
        default:
            peer_pulls = 0;
        }
    }
    if (peer_wait != 0) {
        peer_wait--;
        return;
    }
    switch (peer) {
    case PEER_ASKS:
        peer_pulls = NCA_WIRE_ASK(peer_edge) ^ NCA_WIRES; /* the other end of the edge asks with the other wire */
        if ((levels & (peer_pulls ^ NCA_WIRES)) == 0) {
            peer_pulls = 0;
            peer = PEER_RELEASED;
        }
        break;
    case PEER_RELEASED:
        if (levels == NCA_WIRES) {
            peer = peer_bit < 8 * said_count ? PEER_PULLS : PEER_RESTS;
        }
        break;
    case PEER_PULLS:
        peer_pulls = wire;
        if ((levels & (wire ^ NCA_WIRES)) == 0) {
            peer_pulls = 0;
            peer_bit++;
            peer = PEER_RELEASED;
        }
        break;
    case PEER_TAKES:
        if (levels == 1 || levels == 2) {
            peer_pulls = levels;
            peer = PEER_ANSWERS;
        }
        break;
    case PEER_ANSWERS:
        if (levels & (peer_pulls ^ NCA_WIRES)) {
            peer_pulls = 0;
            peer = PEER_TAKES;
        }
        break;
    case PEER_FREE:
        peer_pulls = (uint8_t)below(4);
        break;
    default:
        peer_pulls = 0;
    }
}

uint8_t board_wires(uint8_t edge)
{
    if (++looks > (uint32_t)SIZE * 8u * 3u * NCA_WIRE_PATIENCE) {
        fail("the cell looks for ever");
    }
    if (edge != peer_edge) {
        return NCA_WIRES & (uint8_t)~pulled[edge];
    }
    act((uint8_t)~(pulled[edge] | peer_pulls) & NCA_WIRES);
    levels_seen = (uint8_t)~(pulled[edge] | peer_pulls) & NCA_WIRES;
    return levels_seen;
}

/* A bit is taken when the cell lets go of the wire with which it has acknowledged it, and has seen the other one high. */
void board_pull(uint8_t edge, uint8_t wires)
{
    if (edge == peer_edge) {
        if (pulled[edge] == 0 && (levels_seen ^ NCA_WIRES) == (wires ^ NCA_WIRES)) {
            candidate = wires ^ NCA_WIRES;
        } else if (wires == 0 && candidate != 0) {
            if (levels_seen & candidate) {
                bits[bit_count++ % sizeof bits] = candidate >> 1;
            }
            candidate = 0;
        } else {
            candidate = 0;
        }
    }
    pulled[edge] = wires;
}

static int frame_of_bits(uint8_t *frame)
{
    memset(frame, 0, SIZE);
    if (bit_count < sizeof bits) {
        return 0;
    }
    for (uint32_t i = 0; i < sizeof bits; i++) {
        frame[i / 8] |= (uint8_t)(bits[(bit_count + i) % sizeof bits] << (i % 8));
    }
    return is_sound(frame, SIZE);
}

static void one_session(void)
{
    const uint8_t before_edge = (uint8_t)below(EDGES);
    int8_t own[NCA_CHANNELS(GENOME)], heard[NCA_NEIGHBOURS][NCA_CHANNELS(GENOME)];
    uint8_t frame[SIZE], honest;

    for (uint32_t i = 0; i < sizeof cell; i++) {
        ((uint8_t *)&cell)[i] = (uint8_t)draw();
    }
    memset(pulled, 0, sizeof pulled);
    peer_edge = before_edge;
    peer_pulls = candidate = 0;
    peer_bit = peer_wait = 0;
    bit_count = 0;
    levels_seen = NCA_WIRES;
    malice = below(4) == 0 ? 0 : (int)below(below(2) ? 4 : 60);
    peer = malice == 0 ? PEER_ASKS : (enum peer_state)below(PEER_FREE + 1);
    said_count = below(4) == 0 ? make(said) : string(said);
    todo = below(2) ? 0 : (uint8_t)draw();
    asking = 0;
    quiet = 0;
    honest = malice == 0 && todo == 0 && is_sound(said, said_count);
    for (int turn = 0; turn < 12; turn++) {
        const uint8_t owed_before = todo, quiet_before = quiet;
        memcpy(own, STATE, sizeof own);
        memcpy(heard, cell.neighbours, sizeof heard);
        looks = 0;
        attend(peer_edge);
        if (memcmp(own, STATE, sizeof own) == 0 && memcmp(heard, cell.neighbours, sizeof heard) == 0 && quiet == quiet_before) {
            if (todo & ~owed_before) {
                fail("a frame is owed that was not");
            }
            continue;
        }
        if (!frame_of_bits(frame)) {
            fail("the cell changed without a sound frame on its wires");
        }
        if (frame[1] == 0x20) {
            if (memcmp(STATE, seed, sizeof own) != 0 || memcmp(heard, cell.neighbours, sizeof heard) != 0 || todo != 0xff) {
                fail("the command to be the seed did something else");
            }
        } else if ((frame[1] & 0xf8) == 0x10) {
            memcpy(heard[frame[1] & 7], frame + 2, sizeof heard[0]);
            if (memcmp(own, STATE, sizeof own) != 0 || memcmp(heard, cell.neighbours, sizeof heard) != 0 || (todo & ~owed_before)) {
                fail("a frame did something else than it says");
            }
        } else {
            fail("a frame that is no state and no command changed something");
        }
        honest = 0;
    }
    if (honest && (said[1] & 0xf8) == 0x10 && memcmp(cell.neighbours[said[1] & 7], said + 2, NCA_CHANNELS(GENOME)) != 0) {
        fail("an honest peer's frame was not taken");
    }
}

/* Wires that never change must not hold a cell for longer than a few patiences. */
static void stuck_wires(void)
{
    for (uint8_t edge = 0; edge < EDGES; edge++) {
        for (uint8_t low = 0; low < 4; low++) {
            for (uint8_t state = 0; state < 4; state++) {
                memset(pulled, 0, sizeof pulled);
                peer_edge = edge;
                peer = PEER_RESTS;
                malice = 0;
                peer_wait = 1 << 30;
                peer_pulls = low;
                todo = state & 1 ? 0xff : 0;
                asking = state & 2 && state & 1 ? (uint8_t)(1u << edge) : 0;
                pulled[edge] = asking ? NCA_WIRE_ASK(edge) : 0;
                for (int turn = 0; turn < 6; turn++) {
                    looks = 0;
                    attend(edge);
                    if (looks > 4u * NCA_WIRE_PATIENCE) {
                        fail("a stuck wire holds the cell");
                    }
                }
            }
        }
    }
}

/* the rest of a board */

void board_start(void)
{
}

void board_alarm(uint32_t ticks)
{
    (void)ticks;
}

uint8_t board_is_due(void)
{
    return 1;
}

void board_idle(void)
{
}

void board_alive(void)
{
}

uint8_t board_noise(void)
{
    return 1;
}

uint8_t board_is_seed(void)
{
    return 0;
}

void board_light(uint8_t value)
{
    (void)value;
}

void board_report(uint8_t byte)
{
    (void)byte;
}

uint16_t board_image_crc(void)
{
    return 0;
}
