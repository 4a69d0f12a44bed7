/* Vectors of eight numbers: 12 of the 16 registers hold sums. */
#include "processor.h"

#if NCA_X86
#define TARGET __attribute__((target("avx2,fma")))
#define LAYERS nca_layers_avx2
#define NAME "AVX2"
#define LANES 8
#define TALL_128 6
#define WIDE_128 2
#define TALL_48 4
#define WIDE_48 3
#define TALL_16 6
#define WIDE_16 2
#define TALL_48_OUTER 6
#define WIDE_48_OUTER 2
#define TALL_16_OUTER 4
#define WIDE_16_OUTER 2
#include "layers_body.h"
#else
typedef int nothing_for_this_processor;
#endif
