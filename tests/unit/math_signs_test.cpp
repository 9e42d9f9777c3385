#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "math/signs.hpp"

using namespace dtrain;

namespace {

using Floats = std::vector<float>;
using Bits = std::vector<std::byte>;

/// Some of them zero, of either sign.
Floats random_values(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> any(-1, 1);
  Floats out(count);
  for (float& x : out) x = engine() % 5 == 0 ? (engine() % 2 == 0 ? 0.0f : -0.0f) : any(engine);
  return out;
}

float expected_sign(float value, std::uint64_t step, std::uint64_t index) {
  if (value > 0) return 1;
  if (value < 0) return -1;
  return (step + index) % 2 == 0 ? 1.0f : -1.0f;
}

Bits bits_of(const Floats& values, SignPlace place) {
  Bits bits(sign_bytes(values.size()), std::byte{0xff});
  sign_bits(values, place, bits);
  return bits;
}

Floats signs(const Floats& values, SignPlace place) {
  Floats out(values.size());
  signs_of(values, place, out);
  return out;
}

}  // namespace

TEST_CASE("a sign is that of the value, and of none (-1)^(step + index); bits and floats say the same") {
  for (const std::size_t count : {0u, 1u, 7u, 8u, 9u, 64u, 1003u, 5000u})
    for (const std::uint64_t step : {0u, 1u, 6u})
      for (const Index first : {0, 1, 4096}) {
        CAPTURE(count);
        const Floats values = random_values(count, 7 + static_cast<std::uint32_t>(count));
        const SignPlace place{step, first};
        const Floats by_value = signs(values, place);
        for (std::size_t k = 0; k < count; ++k)
          REQUIRE(by_value[k] == expected_sign(values[k], step, static_cast<std::uint64_t>(first) + k));
        const Bits bits = bits_of(values, place);
        if (count % 8 != 0) CHECK((std::to_integer<unsigned>(bits.back()) >> count % 8) == 0);
        Floats by_bit(count);
        signs_of(bits, by_bit);
        CHECK(by_bit == by_value);
        CHECK(bits_of(by_bit, {step + 1, first + 2}) == bits);
        Floats left = values;
        subtract_signs(0.25f, place, left);
        for (std::size_t k = 0; k < count; ++k) REQUIRE(left[k] == values[k] - 0.25f * by_value[k]);
      }
  const float nothing = std::numeric_limits<float>::quiet_NaN();
  CHECK(signs({nothing, nothing}, {3, 0}) == Floats{-1, 1});
  CHECK(bits_of({nothing, nothing}, {3, 0}) == Bits{std::byte{2}});
}
