/// One sign bit a value and two means a bucket, so that a bucket's sum survives (Seide et al. 2014).

#include <algorithm>
#include <bit>
#include <cmath>

#include "codec/bucketed.hpp"
#include "math/clones.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dtrain::codec {
namespace {

constexpr std::size_t means_bytes = 2 * sizeof(float);
// The number of partial sums is part of the means' value, so that every vector width gives the same bits.
constexpr std::size_t lanes = 16;
using Sixteen = float __attribute__((vector_size(4 * lanes)));
using Signed = std::int32_t __attribute__((vector_size(4 * lanes)));

struct Sums {
  Sixteen positive;
  Sixteen negative;
  Signed negatives;
};

struct Means {
  float positive;
  float negative;
};

/// The sign bits of up to eight values.
std::byte signs_of(const float* values, std::size_t count) {
  std::uint32_t bits = 0;
  for (std::size_t k = 0; k < count; ++k) bits |= (std::bit_cast<std::uint32_t>(values[k]) >> 31) << k;
  return static_cast<std::byte>(bits);
}

#if defined(__x86_64__)
// Four at a time is what every x86-64 has, and is fast enough: the values are in the first-level cache by then.
std::byte eight_signs(const float* values) {
  const int low = _mm_movemask_ps(_mm_loadu_ps(values)), high = _mm_movemask_ps(_mm_loadu_ps(values + 4));
  return static_cast<std::byte>(low | high << 4);
}
#else
std::byte eight_signs(const float* values) { return signs_of(values, 8); }
#endif

void write_signs(std::span<const float> bucket, std::byte* out) {
  std::size_t k = 0;
  for (; k + 8 <= bucket.size(); k += 8) out[k / 8] = eight_signs(bucket.data() + k);
  if (k < bucket.size()) out[k / 8] = signs_of(bucket.data() + k, bucket.size() - k);
}

DTRAIN_INLINE void add_sixteen(const Sixteen& value, Sums& sums) {
  // A value that is no number is added to the positive ones and makes their sum the same.
  const Sixteen below = value < 0 ? value : Sixteen{};
  sums.negative += below;
  sums.positive += value < 0 ? Sixteen{} : value;
  sums.negatives -= (Signed)value < 0;
}

DTRAIN_CLONES void add_by_sign(const float* values, std::size_t count, Sums& out) {
  Sums sums{};
  Sixteen value;
  for (; count >= lanes; count -= lanes, values += lanes) {
    std::memcpy(&value, values, sizeof value);
    add_sixteen(value, sums);
  }
  value = Sixteen{};
  std::memcpy(&value, values, count * sizeof(float));
  add_sixteen(value, sums);
  out = sums;
}

template <class Vector>
auto total(const Vector& given) {
  Vector sums = given;
  for (std::size_t half = lanes / 2; half > 0; half /= 2)
    for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  return sums[0];
}

Means means_of(std::span<const float> bucket) {
  Sums sums;
  add_by_sign(bucket.data(), bucket.size(), sums);
  const auto negatives = static_cast<std::size_t>(total(sums.negatives));
  const auto mean = [](float sum, std::size_t count) {
    return sum / static_cast<float>(std::max<std::size_t>(count, 1));
  };
  return {mean(total(sums.positive), bucket.size() - negatives), mean(total(sums.negative), negatives)};
}

DTRAIN_CLONES void spread(const std::byte* signs, std::size_t count, float positive, float negative, float* out) {
  const Signed places = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  const Sixteen positives = Sixteen{} + positive, negatives = Sixteen{} + negative;
  std::size_t k = 0;
  for (; k + lanes <= count; k += lanes) {
    const Signed bits = Signed{} + std::int32_t{load<std::uint16_t>(signs + k / 8)};
    const Sixteen values = (bits & places) != 0 ? negatives : positives;
    std::memcpy(out + k, &values, sizeof values);
  }
  for (; k < count; ++k) out[k] = (std::to_integer<unsigned>(signs[k / 8]) >> k % 8 & 1u) != 0 ? negative : positive;
}

class Onebit : public Bucketed {
 public:
  std::size_t bytes(std::size_t count) const override {
    return (count + 7) / 8 + means_bytes * ((count + bucket_values - 1) / bucket_values);
  }

  bool encode(std::span<const float> values, std::uint64_t, std::uint64_t, std::byte* out) const override {
    for (; !values.empty(); values = values.subspan(std::min(bucket_values, values.size()))) {
      const auto bucket = values.first(std::min(bucket_values, values.size()));
      const Means means = means_of(bucket);
      if (!std::isfinite(means.positive) || !std::isfinite(means.negative)) return false;
      store(means, out);
      write_signs(bucket, out + means_bytes);
      out += bytes(bucket.size());
    }
    return true;
  }

  std::optional<Refusal> decode(std::span<const std::byte> given, std::span<float> out) const override {
    if (auto wrong = wrong_length(given.size(), bytes(out.size()))) return wrong;
    for (const std::byte* from = given.data(); !out.empty();) {
      const auto bucket = out.first(std::min(bucket_values, out.size()));
      if (auto refusal = decode_bucket(from, bucket)) return refusal;
      from += bytes(bucket.size());
      out = out.subspan(bucket.size());
    }
    return {};
  }

 private:
  static std::optional<Refusal> decode_bucket(const std::byte* from, std::span<float> out) {
    const auto means = load<Means>(from);
    if (!std::isfinite(means.positive) || !std::isfinite(means.negative)) return Refusal{"a mean is not finite"};
    if (means.positive < 0 || means.negative > 0) return Refusal{"a mean has the other one's sign"};
    const std::byte* signs = from + means_bytes;
    if (out.size() % 8 != 0 && std::to_integer<unsigned>(signs[out.size() / 8]) >> out.size() % 8 != 0)
      return Refusal{"sign bits are set where no value is"};
    spread(signs, out.size(), means.positive, means.negative, out.data());
    return {};
  }
};

}  // namespace

std::unique_ptr<Bucketed> make_onebit() { return std::make_unique<Onebit>(); }

}  // namespace dtrain::codec
