#pragma once
/// Signs of floats: as +1 and -1, and as bits.
///
/// Where a value has no sign, because it is zero, it is (-1)^(step + index), so that who follows the signs of nothing
/// moves to and fro and does not drift. Bits: that of the k-th value is bit k % 8 of byte k / 8, 1 for +1; the bits
/// behind the last value are 0. Flat passes over equally long spans; an output may be the same memory as an input.
/// Pure; any thread.

#include <cstddef>
#include <cstdint>
#include <span>

#include "math/matrix.hpp"

namespace dtrain {

/// Where a span lies, for those signs that values do not have.
struct SignPlace {
  std::uint64_t step = 0;
  Index first = 0;  ///< index in the flat vector of the span's first value
};

inline std::size_t sign_bytes(std::size_t values) { return (values + 7) / 8; }

/// +1 or -1 for each value. Not-a-number has no sign.
void signs_of(std::span<const float> values, SignPlace place, std::span<float> signs);

/// The same as bits. `bits` has sign_bytes(values.size()).
void sign_bits(std::span<const float> values, SignPlace place, std::span<std::byte> bits);

/// +1 or -1 for each bit.
void signs_of(std::span<const std::byte> bits, std::span<float> signs);

/// Takes from each value what `magnitude` times its sign says of it.
void subtract_signs(float magnitude, SignPlace place, std::span<float> values);

}  // namespace dtrain
