#include "data/affine.hpp"

#include <algorithm>
#include <utility>

// Wider registers where the machine has them. The bits are the same: products and sums are not contracted.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(DTRAIN_NO_CLONES)
#define DTRAIN_DATA_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define DTRAIN_DATA_CLONES
#endif

namespace dtrain::data {
namespace {

DTRAIN_DATA_CLONES void encode_bytes(const std::uint8_t* in, float shift, float scale, std::size_t n, float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (static_cast<float>(in[j]) - shift) * scale;
}

DTRAIN_DATA_CLONES void encode_bytes(const std::uint8_t* in, const float* shift, const float* scale, std::size_t n,
                                     float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (static_cast<float>(in[j]) - shift[j]) * scale[j];
}

DTRAIN_DATA_CLONES void encode_floats(const float* in, float shift, float scale, std::size_t n, float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (in[j] - shift) * scale;
}

DTRAIN_DATA_CLONES void encode_floats(const float* in, const float* shift, const float* scale, std::size_t n,
                                      float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j] = (in[j] - shift[j]) * scale[j];
}

}  // namespace

Affine::Affine(std::vector<float> shift, std::vector<float> scale)
    : shift_(std::move(shift)),
      scale_(std::move(scale)),
      keeps_zero_(std::all_of(shift_.begin(), shift_.end(), [](float s) { return s == 0; })) {}

void Affine::apply(const std::uint8_t* in, Index count, float* out) const {
  const auto n = static_cast<std::size_t>(count);
  if (uniform()) {
    encode_bytes(in, shift_[0], scale_[0], n, out);
  } else {
    encode_bytes(in, shift_.data(), scale_.data(), n, out);
  }
}

void Affine::apply(const float* in, Index count, float* out) const {
  const auto n = static_cast<std::size_t>(count);
  if (uniform()) {
    encode_floats(in, shift_[0], scale_[0], n, out);
  } else {
    encode_floats(in, shift_.data(), scale_.data(), n, out);
  }
}

}  // namespace dtrain::data
