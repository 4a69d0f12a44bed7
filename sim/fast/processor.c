#include "processor.h"

#if NCA_X86
#include <cpuid.h>

/* Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections 14.3 and 15.2 to 15.4. */
int nca_processor(int most)
{
    const unsigned fma = 1u << 12, osxsave = 1u << 27;                                     /* leaf 1, ECX */
    const unsigned avx2 = 1u << 5, avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;     /* leaf 7, EBX: F, DQ, BW, VL */
    const unsigned bytes = 1u << 1 | 1u << 6 | 1u << 11;                                   /* leaf 7, ECX: VBMI, VBMI2, VNNI */
    const unsigned ymm = 0x06, zmm = 0xe6;                                                 /* XCR0: registers that are saved */
    unsigned a, b, c, d, basic, saved, high;

    if (most < NCA_AVX2 || !__get_cpuid(1, &a, &b, &basic, &d) || (basic & (fma | osxsave)) != (fma | osxsave)
        || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return NCA_PORTABLE;
    }
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    (void)high;
    if ((saved & ymm) != ymm || (b & avx2) == 0) {
        return NCA_PORTABLE;
    }
    return most >= NCA_AVX512 && (saved & zmm) == zmm && (b & avx512) == avx512 && (c & bytes) == bytes ? NCA_AVX512 : NCA_AVX2;
}
#else
int nca_processor(int most)
{
    (void)most;
    return NCA_PORTABLE;
}
#endif
