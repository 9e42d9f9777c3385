#include "base/random.hpp"

#include <cmath>
#include <numeric>
#include <utility>

namespace dtrain {

Block philox(std::array<std::uint32_t, 2> key, Block c) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

Block draw(std::uint64_t seed, Purpose purpose, std::uint32_t a, std::uint64_t b, std::uint32_t c) {
  const auto high = static_cast<std::uint32_t>(b >> 32);
  return philox(
      {static_cast<std::uint32_t>(seed) ^ (high * 0x9E3779B9u), static_cast<std::uint32_t>(seed >> 32) + high},
      {static_cast<std::uint32_t>(b), a, c, static_cast<std::uint32_t>(purpose)});
}

double unit(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32 | low) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

std::array<double, 2> normals(std::uint32_t first, std::uint32_t second) {
  const double u = (first + 1.0) * 0x1p-32, v = second * 0x1p-32;  // u in (0, 1]
  const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * 3.14159265358979323846 * v;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

void permutation(std::uint64_t seed, Purpose purpose, std::uint32_t index, Index n, std::vector<std::uint32_t>& out) {
  out.resize(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), 0u);
  Block block{};
  for (Index i = n - 1; i > 0; --i) {
    const auto lane = static_cast<std::size_t>((n - 1 - i) % 4);
    if (lane == 0) block = draw(seed, purpose, index, static_cast<std::uint64_t>(i));
    const auto j = static_cast<std::size_t>((std::uint64_t{block[lane]} * static_cast<std::uint64_t>(i + 1)) >> 32);
    std::swap(out[static_cast<std::size_t>(i)], out[j]);
  }
}

}  // namespace dtrain
