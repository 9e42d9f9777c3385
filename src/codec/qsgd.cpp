/// A norm a bucket and, for each value, how many s-ths of it, rounded at random so that the mean is right (Alistarh et
/// al. 2017).

#include <algorithm>
#include <array>
#include <cmath>

#include "codec/bucketed.hpp"
#include "codec/draws.hpp"
#include "math/clones.hpp"
#include "math/fold.hpp"

namespace dtrain::codec {
namespace {

// A bucket's levels, and zeros where the last byte of a short one holds fewer values than it could.
using Levels = std::array<std::int16_t, bucket_values + 8>;

DTRAIN_CLONES void round_to_levels(const float* values, const std::uint32_t* words, std::size_t count, float norm,
                                   std::int32_t most, std::int16_t* levels) {
  const auto steps = static_cast<float>(most);
  for (std::size_t k = 0; k < count; ++k) {
    const float size = std::abs(values[k]) / norm * steps;
    const auto below = static_cast<std::int32_t>(size);
    const float chance = size - static_cast<float>(below);
    const float word = static_cast<float>(static_cast<std::int32_t>(words[k] >> 8)) * 0x1p-24f;
    // The norm is rounded, so that a single value may be a little longer than it.
    const std::int32_t level = std::min(below + (word < chance ? 1 : 0), most);
    levels[k] = static_cast<std::int16_t>(values[k] < 0 ? -level : level);
  }
}

DTRAIN_CLONES void scale_levels(const std::int16_t* levels, std::size_t count, float norm, float steps, float* out) {
  for (std::size_t k = 0; k < count; ++k) out[k] = static_cast<float>(levels[k]) / steps * norm;
}

/// Byte j of `rows` takes level j, j + rows, ... in `width` bits each, so that neighbours are packed side by side.
template <int width>
DTRAIN_INLINE void pack_as(const std::int16_t* levels, std::size_t rows, std::byte* out) {
  constexpr std::uint32_t mask = (1u << width) - 1;
  for (std::size_t row = 0; row < rows; ++row) {
    std::uint32_t bits = 0;
    for (int part = 0; part < 8 / width; ++part)
      bits |= (static_cast<std::uint32_t>(levels[row + static_cast<std::size_t>(part) * rows]) & mask) << part * width;
    out[row] = static_cast<std::byte>(bits);
  }
}

template <int width>
DTRAIN_INLINE void unpack_as(const std::byte* bytes, std::size_t rows, std::int16_t* levels) {
  for (int part = 0; part < 8 / width; ++part)
    for (std::size_t row = 0; row < rows; ++row) {
      const std::uint32_t high = std::to_integer<std::uint32_t>(bytes[row]) << (32 - width - part * width);
      levels[row + static_cast<std::size_t>(part) * rows] =
          static_cast<std::int16_t>(static_cast<std::int32_t>(high) >> (32 - width));
    }
}

DTRAIN_CLONES void pack2(const std::int16_t* levels, std::size_t rows, std::byte* out) {
  pack_as<2>(levels, rows, out);
}
DTRAIN_CLONES void pack4(const std::int16_t* levels, std::size_t rows, std::byte* out) {
  pack_as<4>(levels, rows, out);
}
DTRAIN_CLONES void pack8(const std::int16_t* levels, std::size_t rows, std::byte* out) {
  pack_as<8>(levels, rows, out);
}
DTRAIN_CLONES void unpack2(const std::byte* in, std::size_t rows, std::int16_t* levels) {
  unpack_as<2>(in, rows, levels);
}
DTRAIN_CLONES void unpack4(const std::byte* in, std::size_t rows, std::int16_t* levels) {
  unpack_as<4>(in, rows, levels);
}
DTRAIN_CLONES void unpack8(const std::byte* in, std::size_t rows, std::int16_t* levels) {
  unpack_as<8>(in, rows, levels);
}

DTRAIN_CLONES std::int32_t largest(const std::int16_t* levels, std::size_t count) {
  std::int32_t most = 0;
  for (std::size_t k = 0; k < count; ++k) most = std::max(most, std::abs(std::int32_t{levels[k]}));
  return most;
}

class Qsgd : public Bucketed {
 public:
  Qsgd(int levels, const Range& range)
      : most_(levels),
        width_(levels <= 1     ? 2u
               : levels <= 7   ? 4u
               : levels <= 127 ? 8u
                               : 16u),
        seed_(range.seed),
        sender_(range.sender) {}

  std::size_t bytes(std::size_t count) const override {
    const std::size_t whole = count / bucket_values, rest = count % bucket_values;
    return whole * bucket_bytes(bucket_values) + (rest == 0 ? 0 : bucket_bytes(rest));
  }

  bool encode(std::span<const float> values, std::uint64_t step, std::uint64_t position,
              std::byte* out) const override {
    const Stream stream{seed_, sender_, step};
    while (!values.empty()) {
      const auto bucket = values.first(std::min(bucket_values, values.size()));
      const auto norm = static_cast<float>(std::sqrt(sum_of_squares(bucket)));
      if (!std::isfinite(norm)) return false;
      store(norm, out);
      encode_levels(stream, position, bucket, norm, out + sizeof norm);
      out += bucket_bytes(bucket.size());
      position += bucket.size();
      values = values.subspan(bucket.size());
    }
    return true;
  }

  std::optional<Refusal> decode(std::span<const std::byte> given, std::span<float> out) const override {
    if (auto wrong = wrong_length(given.size(), bytes(out.size()))) return wrong;
    for (const std::byte* from = given.data(); !out.empty();) {
      const auto bucket = out.first(std::min(bucket_values, out.size()));
      if (auto refusal = decode_bucket(from, bucket)) return refusal;
      from += bucket_bytes(bucket.size());
      out = out.subspan(bucket.size());
    }
    return {};
  }

 private:
  std::size_t packed_bytes(std::size_t count) const { return (count * width_ + 7) / 8; }
  std::size_t bucket_bytes(std::size_t count) const { return sizeof(float) + packed_bytes(count); }

  void encode_levels(const Stream& stream, std::uint64_t position, std::span<const float> bucket, float norm,
                     std::byte* out) const {
    Levels levels{};
    if (norm > 0) {
      alignas(64) std::array<std::uint32_t, bucket_values + draw_group> words;
      const std::size_t before = position % draw_group;
      const std::size_t groups = (before + bucket.size() + draw_group - 1) / draw_group;
      draws(stream, position - before, std::span(words).first(groups * draw_group));
      round_to_levels(bucket.data(), words.data() + before, bucket.size(), norm, most_, levels.data());
    }
    const std::size_t rows = packed_bytes(bucket.size());
    switch (width_) {
      case 2: return pack2(levels.data(), rows, out);
      case 4: return pack4(levels.data(), rows, out);
      case 8: return pack8(levels.data(), rows, out);
      default: std::memcpy(out, levels.data(), rows);
    }
  }

  void unpack(const std::byte* from, std::size_t rows, std::int16_t* levels) const {
    switch (width_) {
      case 2: return unpack2(from, rows, levels);
      case 4: return unpack4(from, rows, levels);
      case 8: return unpack8(from, rows, levels);
      default: std::memcpy(levels, from, rows);
    }
  }

  std::optional<Refusal> decode_bucket(const std::byte* from, std::span<float> out) const {
    const auto norm = load<float>(from);
    if (!std::isfinite(norm) || std::signbit(norm)) return Refusal{"a norm is negative or not finite"};
    const std::size_t rows = packed_bytes(out.size()), held = rows * 8 / width_;
    Levels levels;
    unpack(from + sizeof norm, rows, levels.data());
    if (largest(levels.data(), out.size()) > most_) return Refusal{"a level is beyond the largest"};
    if (largest(levels.data() + out.size(), held - out.size()) != 0)
      return Refusal{"bits of levels are set where no value is"};
    scale_levels(levels.data(), out.size(), norm, static_cast<float>(most_), out.data());
    return {};
  }

  std::int32_t most_;
  std::size_t width_;
  std::uint64_t seed_;
  std::uint32_t sender_;
};

}  // namespace

std::unique_ptr<Bucketed> make_qsgd(int levels, const Range& range) { return std::make_unique<Qsgd>(levels, range); }

}  // namespace dtrain::codec
