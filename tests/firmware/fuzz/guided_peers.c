/* receive.c with a peer at the wires whose draws libFuzzer evolves by what code they reach. */
#include "receive.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    given = data;
    given_count = size;
    random_state = 0x9e3779b97f4a7c15u; /* of the draws beyond what is given */
    one_session();
    given_count = 0;
    return 0;
}
