#pragma once
/// feature' = (feature - shift) * scale, for one row at a time.

#include <cstdint>
#include <vector>

#include "base/random.hpp"  // Index

namespace dtrain::data {

/// One shift and scale for all features alike, or one of each a feature.
class Affine {
 public:
  /// Of the same length: 1, or the number of features.
  Affine(std::vector<float> shift, std::vector<float> scale);

  void apply(const std::uint8_t* in, Index count, float* out) const;
  /// `in` may be `out`.
  void apply(const float* in, Index count, float* out) const;
  float apply(float value, std::size_t feature) const {
    const std::size_t at = uniform() ? 0 : feature;
    return (value - shift_[at]) * scale_[at];
  }
  /// What is zero stays zero.
  bool keeps_zero() const { return keeps_zero_; }
  bool keeps_zero(std::size_t feature) const { return shift_[uniform() ? 0 : feature] == 0; }
  std::size_t bytes() const { return (shift_.capacity() + scale_.capacity()) * sizeof(float); }

 private:
  bool uniform() const { return shift_.size() == 1; }
  std::vector<float> shift_, scale_;
  bool keeps_zero_;
};

}  // namespace dtrain::data
