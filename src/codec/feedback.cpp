#include "codec/feedback.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "math/clones.hpp"
#include "math/fold.hpp"

namespace dtrain::codec {
namespace {

// A few buckets, so that the passes over them run in the first-level cache.
constexpr std::size_t part_values = 4 * bucket_values;

DTRAIN_CLONES void add(const float* values, std::size_t count, float rescale, float* residual) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) residual[k] = rescale * residual[k] + values[k];
}

/// A value that the codec made infinite leaves nothing behind: its receiver has seen the run diverge.
DTRAIN_CLONES void subtract(const float* sent, std::size_t count, float* residual) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) {
    const float left = residual[k] - sent[k];
    residual[k] = left - left == 0 ? left : 0;
  }
}

}  // namespace

Feedback::Feedback(std::unique_ptr<Bucketed> codec, const Range& range)
    : codec_(std::move(codec)), position_(range.position), residual_(range.count) {}

std::optional<std::size_t> Feedback::encode(std::span<const float> values, const Turn& turn, std::span<std::byte> out) {
  assert(values.size() == residual_.size());
  if (!all_finite(values)) return {};
  alignas(64) std::array<float, part_values> sent;
  std::size_t used = 0;
  for (std::size_t begin = 0; begin < values.size(); begin += part_values) {
    const std::size_t count = std::min(part_values, values.size() - begin), bytes = codec_->bytes(count);
    const auto unsent = std::span(residual_).subspan(begin, count);
    add(values.data() + begin, count, turn.rescale, unsent.data());
    if (!codec_->encode(unsent, turn.step, position_ + begin, out.data() + used)) return {};
    [[maybe_unused]] const auto refusal = codec_->decode(out.subspan(used, bytes), std::span(sent).first(count));
    assert(!refusal);
    subtract(sent.data(), count, unsent.data());
    used += bytes;
  }
  return used;
}

}  // namespace dtrain::codec
