#pragma once
/// Counter-based randomness: every draw is a function of (seed, purpose, indices), and no generator state exists.
///
/// Philox4x32-10 of Salmon et al. 2011 ("Parallel random numbers: as easy as 1, 2, 3"), known answers in the tests.
/// Pure; any thread.

#include <array>
#include <cstdint>
#include <vector>

namespace dtrain {

using Index = std::int64_t;

using Block = std::array<std::uint32_t, 4>;
Block philox(std::array<std::uint32_t, 2> key, Block counter);

/// What a draw is for. The numbers are part of reproducibility: never reorder, only append.
enum class Purpose : std::uint32_t {
  shuffle = 1,
  dropout = 2,
  init = 3,
  generate = 4,
  holdout = 5,
  subset = 6,
  codec = 7,
  fault = 8,
  gossip = 9,
  partition = 10
};

/// Four 32-bit draws for (seed, purpose, a, b, c): a and c take 32 bits, b takes 64 (its upper half is added to the
/// key).
Block draw(std::uint64_t seed, Purpose purpose, std::uint32_t a, std::uint64_t b, std::uint32_t c = 0);

/// [0, 1) with 24 bits, exact in float.
inline float unit(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }
/// [0, 1) with 53 bits.
double unit(std::uint32_t high, std::uint32_t low);
/// Two independent standard normals from two draws (Box-Muller, in double).
std::array<double, 2> normals(std::uint32_t first, std::uint32_t second);

/// The permutation of 0..n-1 that (seed, purpose, index) names: Fisher-Yates, unbiased to 2^-32.
/// n < 2^32. `out` is overwritten and resized, so that a caller can keep its memory.
void permutation(std::uint64_t seed, Purpose purpose, std::uint32_t index, Index n, std::vector<std::uint32_t>& out);

}  // namespace dtrain
