/* Vectors of four numbers, which every processor has or its compiler makes up; single numbers where the compiler knows no vectors. */
#define TARGET
#define LAYERS nca_layers_portable
#define NAME "portable"
#if defined(__GNUC__)
#define LANES 4
#else
#define LANES 1
#endif
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
