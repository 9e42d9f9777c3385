#include "math/signs.hpp"

#include <algorithm>
#include <cassert>

#include "math/clones.hpp"

namespace dtrain {
namespace {

DTRAIN_INLINE float sign_of(float value, float absent) { return value > 0 ? 1.0f : value < 0 ? -1.0f : absent; }

/// The sign that the first value of a span has for want of one; the next has the other.
float first_absent(SignPlace place) {
  return (place.step + static_cast<std::uint64_t>(place.first)) % 2 == 0 ? 1.0f : -1.0f;
}

DTRAIN_CLONES void take_signs(const float* values, float absent, float* signs, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) signs[k] = sign_of(values[k], (k & 1) == 0 ? absent : -absent);
}

DTRAIN_CLONES void subtract(float magnitude, float absent, float* values, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) {
    const float value = values[k];
    values[k] = value - magnitude * sign_of(value, (k & 1) == 0 ? absent : -absent);
  }
}

}  // namespace

void signs_of(std::span<const float> values, SignPlace place, std::span<float> signs) {
  assert(values.size() == signs.size());
  take_signs(values.data(), first_absent(place), signs.data(), values.size());
}

void sign_bits(std::span<const float> values, SignPlace place, std::span<std::byte> bits) {
  assert(bits.size() == sign_bytes(values.size()));
  const bool absent[] = {first_absent(place) > 0, first_absent(place) < 0};
  for (std::size_t byte = 0; byte < bits.size(); ++byte) {
    const std::size_t begin = 8 * byte, count = std::min<std::size_t>(8, values.size() - begin);
    unsigned packed = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const float value = values[begin + k];
      packed |= static_cast<unsigned>(value > 0 || (!(value < 0) && absent[k % 2])) << k;
    }
    bits[byte] = static_cast<std::byte>(packed);
  }
}

void signs_of(std::span<const std::byte> bits, std::span<float> signs) {
  assert(bits.size() == sign_bytes(signs.size()));
  for (std::size_t k = 0; k < signs.size(); ++k)
    signs[k] = static_cast<float>(2 * static_cast<int>(std::to_integer<unsigned>(bits[k / 8]) >> (k % 8) & 1) - 1);
}

void subtract_signs(float magnitude, SignPlace place, std::span<float> values) {
  subtract(magnitude, first_absent(place), values.data(), values.size());
}

}  // namespace dtrain
