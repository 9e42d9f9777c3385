#include "codec/draws.hpp"

#include <array>
#include <cassert>

#include "base/random.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dtrain::codec {
namespace {

constexpr std::size_t lanes = 16;
using Key = std::array<std::uint32_t, 2>;
constexpr std::uint32_t rounds = 10;

/// philox() of base/random for counters whose third word counts up: sixteen blocks after another, of which all first
/// words come before all second ones. `count` words, a multiple of 64.
void many_blocks(const Key& key, const Block& counter, std::size_t count, std::uint32_t* out) {
  Block next = counter;
  for (std::size_t group = 0; group < count; group += draw_group)
    for (std::size_t lane = 0; lane < lanes; ++lane, ++next[2]) {
      const Block block = philox(key, next);
      for (std::size_t word = 0; word < 4; ++word) out[group + word * lanes + lane] = block[word];
    }
}

#if defined(__x86_64__)
struct Wide {
  __m256i c[4];  ///< the lower halves of 64-bit lanes; the upper ones are never looked at
};

__attribute__((target("avx2"))) inline Wide four_blocks(Wide block, const __m256i (&keys)[rounds][2]) {
  const __m256i m0 = _mm256_set1_epi64x(0xD2511F53u), m1 = _mm256_set1_epi64x(0xCD9E8D57u);
#pragma GCC unroll 10
  for (const auto& key : keys) {
    const __m256i p0 = _mm256_mul_epu32(block.c[0], m0), p1 = _mm256_mul_epu32(block.c[2], m1);
    block = {
        {_mm256_srli_epi64(p1, 32) ^ block.c[1] ^ key[0], p1, _mm256_srli_epi64(p0, 32) ^ block.c[3] ^ key[1], p0}};
  }
  return block;
}

/// The same by the one instruction that multiplies lower halves, which compilers do not find by themselves.
__attribute__((target("avx2"))) void many_blocks_avx2(const Key& key, const Block& counter, std::size_t count,
                                                      std::uint32_t* out) {
  __m256i keys[rounds][2];
  for (std::uint32_t round = 0; round < rounds; ++round) {
    keys[round][0] = _mm256_set1_epi64x(key[0] + round * 0x9E3779B9u);
    keys[round][1] = _mm256_set1_epi64x(key[1] + round * 0xBB67AE85u);
  }
  const __m256i lower_halves = _mm256_setr_epi32(0, 2, 4, 6, 0, 0, 0, 0);
  Wide next{{_mm256_set1_epi64x(counter[0]), _mm256_set1_epi64x(counter[1]),
             _mm256_add_epi64(_mm256_set1_epi64x(counter[2]), _mm256_setr_epi64x(0, 1, 2, 3)),
             _mm256_set1_epi64x(counter[3])}};
  for (std::size_t group = 0; group < count; group += draw_group)
    for (std::size_t first = 0; first < lanes; first += 4) {
      const Wide block = four_blocks(next, keys);
      next.c[2] = _mm256_add_epi64(next.c[2], _mm256_set1_epi64x(4));
      for (std::size_t word = 0; word < 4; ++word)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + group + word * lanes + first),
                         _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(block.c[word], lower_halves)));
    }
}

bool has_avx2() { return __builtin_cpu_supports("avx2") != 0; }
#else
constexpr auto many_blocks_avx2 = many_blocks;
bool has_avx2() { return false; }
#endif

}  // namespace

void draws(const Stream& stream, std::uint64_t position, std::span<std::uint32_t> out) {
  assert(position % draw_group == 0 && out.size() % draw_group == 0);
  const auto high = static_cast<std::uint32_t>(stream.step >> 32);
  const Key key{static_cast<std::uint32_t>(stream.seed) ^ (high * 0x9E3779B9u),
                static_cast<std::uint32_t>(stream.seed >> 32) + high};
  const Block counter{static_cast<std::uint32_t>(stream.step), stream.sender, static_cast<std::uint32_t>(position / 4),
                      static_cast<std::uint32_t>(Purpose::codec)};
  (has_avx2() ? many_blocks_avx2 : many_blocks)(key, counter, out.size(), out.data());
}

}  // namespace dtrain::codec
