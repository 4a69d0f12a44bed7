/* receive.c with hostility of a generator:
 *
 *     drawn STRINGS SESSIONS SEED
 */
#include "receive.c"

int main(int count, char **words)
{
    if (count != 4) {
        fail("drawn STRINGS SESSIONS SEED");
    }
    random_state = strtoull(words[3], 0, 10) * 0x9e3779b97f4a7c15u | 1u;
    for (long i = strtol(words[1], 0, 10); i > 0; i--) {
        said_count = string(said);
        take_what_is_said();
    }
    for (long i = strtol(words[2], 0, 10); i > 0; i--) {
        one_session();
    }
    stuck_wires();
    return 0;
}
