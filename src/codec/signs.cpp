#include "codec/signs.hpp"

#include <cassert>
#include <cmath>

#include "math/clones.hpp"
#include "math/fold.hpp"
#include "math/signs.hpp"

namespace dtrain::codec {
namespace {

DTRAIN_CLONES void add(const float* values, std::size_t count, float rescale, float* residual) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) residual[k] = values[k] + rescale * residual[k];
}

float mean_magnitude(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += std::abs(value);
  return values.empty() ? 0.0f : static_cast<float>(sum / static_cast<double>(values.size()));
}

class Signs : public Bucketed {
 public:
  std::size_t bytes(std::size_t count) const override { return sign_bytes(count); }

  bool encode(std::span<const float> values, std::uint64_t step, std::uint64_t position,
              std::byte* out) const override {
    sign_bits(values, {step, static_cast<Index>(position)}, {out, sign_bytes(values.size())});
    return true;
  }

  std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) const override {
    if (auto wrong = wrong_length(bytes.size(), sign_bytes(out.size()))) return wrong;
    if (out.size() % 8 != 0 && std::to_integer<unsigned>(bytes.back()) >> out.size() % 8 != 0)
      return Refusal{"sign bits are set where no value is"};
    signs_of(bytes, out);
    return {};
  }
};

}  // namespace

std::unique_ptr<Bucketed> make_signs() { return std::make_unique<Signs>(); }

SignFeedback::SignFeedback(const Range& range) : position_(range.position), residual_(range.count) {}

std::optional<std::size_t> SignFeedback::encode(std::span<const float> values, const Turn& turn,
                                                std::span<std::byte> out) {
  assert(values.size() == residual_.size());
  if (!all_finite(values)) return {};
  add(values.data(), values.size(), turn.rescale, residual_.data());
  const float magnitude = mean_magnitude(residual_);
  if (!std::isfinite(magnitude)) return {};
  const SignPlace place{turn.step, static_cast<Index>(position_)};
  const std::size_t bytes = sign_bytes(values.size());
  sign_bits(residual_, place, out.first(bytes));
  subtract_signs(magnitude, place, residual_);
  return bytes;
}

}  // namespace dtrain::codec
