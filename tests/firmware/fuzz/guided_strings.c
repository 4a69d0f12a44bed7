/* receive.c with strings that libFuzzer evolves by what code they reach. */
#include "receive.c"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No mutation hits a CRC by chance: every second string gets one. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    if (size >= SIZE && seed & 1) {
        seal(data);
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    said_count = size < LONGEST ? (int)size : LONGEST;
    memcpy(said, data, (size_t)said_count);
    take_what_is_said();
    return 0;
}
