/* Which vector instructions the processor has. Asked of the processor itself: not every compiler's __builtin_cpu_supports() knows. */
#ifndef NCA_FAST_PROCESSOR_H
#define NCA_FAST_PROCESSOR_H

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define NCA_X86 1
#else
#define NCA_X86 0
#endif

/* NCA_AVX2: with FMA. NCA_AVX512: F, BW, DQ, VL, VNNI, VBMI and VBMI2. */
enum nca_instructions { NCA_PORTABLE, NCA_AVX2, NCA_AVX512 };

/* The best that the processor has and the operating system lets it use, `most` at the most. */
int nca_processor(int most);

#endif
