#pragma once
/// What the tests of codecs share: random vectors, one encoding, one decoding.

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "codec/codec.hpp"

namespace dtrain::codec {

using Bytes = std::vector<std::byte>;
using Floats = std::vector<float>;

/// Sizes round about every border: of bytes, of registers, of buckets, of blocks of indices.
inline const std::vector<std::size_t> awkward_counts = {0,   1,   2,   7,    8,    9,    15,   16,   17,    63,   64,
                                                        511, 512, 513, 1023, 1031, 2048, 4096, 7919, 65536, 70001};

inline Floats normal_values(std::size_t count, std::uint32_t seed, float scale = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, scale);
  Floats values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

/// What was written, cut to its length; fails the test if nothing was or if more was than most_bytes() tells.
inline Bytes encoded(Encoder& encoder, const Options& options, const Floats& values, const Turn& turn = {}) {
  Bytes bytes(most_bytes(options, values.size()) + 8, std::byte{0xa5});
  const auto used = encoder.encode(values, turn, std::span(bytes).first(bytes.size() - 8));
  REQUIRE(used.has_value());
  REQUIRE(*used + 8 <= bytes.size());
  for (std::size_t k = bytes.size() - 8; k < bytes.size(); ++k) REQUIRE(bytes[k] == std::byte{0xa5});
  bytes.resize(*used);
  return bytes;
}

inline Bytes encoded_once(const Options& options, const Floats& values, Range range = {}, const Turn& turn = {}) {
  range.count = values.size();
  return encoded(*make_encoder(options, range), options, values, turn);
}

/// Why `bytes` are refused, or "".
inline std::string refusal_of(const Options& options, std::span<const std::byte> bytes, std::size_t count) {
  Floats out(count);
  const auto refusal = make_decoder(options, count)->decode(bytes, out);
  if (!refusal) return "";
  return refusal->why.empty() ? "without a reason" : refusal->why;
}

inline Floats decoded(const Options& options, std::span<const std::byte> bytes, std::size_t count) {
  Floats out(count, -7.0f);
  const auto refusal = make_decoder(options, count)->decode(bytes, out);
  REQUIRE_MESSAGE(!refusal, refusal->why);
  return out;
}

inline double sum_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value);
  return sum;
}

inline double norm_of(std::span<const float> values) {
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(squares);
}

}  // namespace dtrain::codec
