#include "model/dropout.hpp"

#include <algorithm>
#include <cmath>

#include "math/clones.hpp"

namespace dtrain::model {
namespace {

// Blocks of four draws made side by side, so that the rounds fill whole registers.
constexpr std::size_t width = 16;
constexpr std::size_t batch_units = 4 * width;

struct Draws {
  std::uint32_t word[4][width];
};

/// Numbers of draw(seed, Purpose::dropout, epoch, b, block): `b` names layer (upper half) and row.
struct Stream {
  std::uint64_t seed;
  std::uint32_t epoch;
  std::uint32_t layer;
  std::uint32_t row;
};

DTRAIN_INLINE std::uint32_t high(std::uint64_t product) { return static_cast<std::uint32_t>(product >> 32); }

/// Same words as draw() for blocks first, first + 1, ...; the test compares them.
DTRAIN_INLINE void draw_blocks(const Stream& s, std::uint32_t first, Draws& out) {
  std::uint32_t key0 = static_cast<std::uint32_t>(s.seed) ^ (s.layer * 0x9E3779B9u);
  std::uint32_t key1 = high(s.seed) + s.layer;
  for (std::uint32_t i = 0; i < width; ++i) {
    out.word[0][i] = s.row;
    out.word[1][i] = s.epoch;
    out.word[2][i] = first + i;
    out.word[3][i] = static_cast<std::uint32_t>(Purpose::dropout);
  }
  for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
    for (std::size_t i = 0; i < width; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * out.word[0][i];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * out.word[2][i];
      out.word[0][i] = high(p1) ^ out.word[1][i] ^ key0;
      out.word[1][i] = static_cast<std::uint32_t>(p1);
      out.word[2][i] = high(p0) ^ out.word[3][i] ^ key1;
      out.word[3][i] = static_cast<std::uint32_t>(p0);
    }
}

template <class Real>
DTRAIN_INLINE void mask(const Stream& stream, std::uint32_t threshold, Real kept, Index first, Real* out,
                        std::size_t units) {
  Draws draws;
  Real values[batch_units];
  auto block = static_cast<std::uint32_t>(first / 4);
  auto skipped = static_cast<std::size_t>(first % 4);
  for (std::size_t begin = 0; begin < units; begin += batch_units - skipped, skipped = 0, block += width) {
    draw_blocks(stream, block, draws);
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t k = 0; k < 4; ++k) values[4 * i + k] = draws.word[k][i] < threshold ? Real{0} : kept;
    std::copy_n(values + skipped, std::min(batch_units - skipped, units - begin), out + begin);
  }
}

DTRAIN_CLONES void mask_floats(const Stream& stream, std::uint32_t threshold, float kept, Index first, float* out,
                               std::size_t units) {
  mask(stream, threshold, kept, first, out, units);
}

Stream stream_of(const MaskRow& r) { return {r.key.seed, r.key.epoch, static_cast<std::uint32_t>(r.layer), r.row}; }

std::uint32_t threshold_of(const MaskRow& r) {
  return static_cast<std::uint32_t>(std::min(std::floor(r.probability * 0x1p32), 0x1p32 - 1));
}

}  // namespace

void dropout_mask(const MaskRow& row, Index first, std::span<float> out) {
  const auto kept = static_cast<float>(1 / (1 - row.probability));
  mask_floats(stream_of(row), threshold_of(row), kept, first, out.data(), out.size());
}

void dropout_mask(const MaskRow& row, Index first, std::span<double> out) {
  const double kept = 1 / (1 - row.probability);
  mask(stream_of(row), threshold_of(row), kept, first, out.data(), out.size());
}

}  // namespace dtrain::model
