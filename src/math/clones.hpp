#pragma once
/// DTRAIN_CLONES before an elementwise kernel compiles it for several vector widths; the loader picks one.
///
/// Products and sums are never contracted, so every width gives the same bits. Empty where DTRAIN_NO_CLONES is defined
/// (sanitizer builds: the choice is made before they are ready).
/// A marked function must not be a template; loops that it shares with others go into DTRAIN_INLINE functions.

#ifdef DTRAIN_NO_CLONES
#define DTRAIN_CLONES
#else
#define DTRAIN_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

#define DTRAIN_INLINE inline __attribute__((always_inline))
#define DTRAIN_INLINE_LAMBDA __attribute__((always_inline))
