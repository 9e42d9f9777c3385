#pragma once
/// A random word for each weight of the flat vector, by the hundred: what a stochastic rounding needs.
///
/// Weight w has lane (w % 64) / 16 of draw(seed, Purpose::codec, sender, step, w / 64 * 16 + w % 16), whatever range it
/// is sent in. Pure; any thread.

#include <cstdint>
#include <span>

namespace dtrain::codec {

inline constexpr std::size_t draw_group = 64;

struct Stream {
  std::uint64_t seed;
  std::uint32_t sender;
  std::uint64_t step;
};

/// The words of the weights from `position` on, which is a multiple of 64, as is out.size().
void draws(const Stream& stream, std::uint64_t position, std::span<std::uint32_t> out);

}  // namespace dtrain::codec
