/* Vectors of sixteen numbers: 24 of the 32 registers hold sums. */
#include "processor.h"

#if NCA_X86
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")))
#define LAYERS nca_layers_avx512
#define NAME "AVX-512"
#define LANES 16
#define TALL_128 6
#define WIDE_128 4
#define TALL_48 8
#define WIDE_48 3
#define TALL_16 12
#define WIDE_16 1
#define TALL_48_OUTER 6
#define WIDE_48_OUTER 4
#define TALL_16_OUTER 4
#define WIDE_16_OUTER 4
#include "layers_body.h"
#else
typedef int nothing_for_this_processor;
#endif
