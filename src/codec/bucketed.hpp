#pragma once
/// Codecs without state whose bytes are those of their buckets, one after another: none, fp16, bf16, qsgd, onebit.
///
/// So a vector may be worked through in parts of whole buckets that stay in the first-level cache. Any thread.

#include <cstring>

#include "codec/codec.hpp"

namespace dtrain::codec {

class Bucketed {
 public:
  virtual ~Bucketed() = default;
  virtual std::size_t bytes(std::size_t count) const = 0;
  /// Writes bytes(values.size()) bytes. `position`: of the first value in the flat vector. False if a norm or a mean is
  /// not finite.
  virtual bool encode(std::span<const float> values, std::uint64_t step, std::uint64_t position,
                      std::byte* out) const = 0;
  virtual std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) const = 0;
};

/// What is wrong if `given` bytes came for `expected`.
std::optional<Refusal> wrong_length(std::size_t given, std::size_t expected);

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
void store(T value, std::byte* to) {
  std::memcpy(to, &value, sizeof value);
}

std::unique_ptr<Bucketed> make_fp16();
std::unique_ptr<Bucketed> make_bf16();
std::unique_ptr<Bucketed> make_qsgd(int levels, const Range& range);
std::unique_ptr<Bucketed> make_onebit();

}  // namespace dtrain::codec
