#pragma once
/// Error feedback (Seide et al. 2014): what a codec lost in one step is added to the values of the next, so that
/// everything is sent sooner or later. Wraps any bucketed codec.

#include "codec/bucketed.hpp"

namespace dtrain::codec {

class Feedback : public Encoder {
 public:
  Feedback(std::unique_ptr<Bucketed> codec, const Range& range);
  std::optional<std::size_t> encode(std::span<const float> values, const Turn& turn, std::span<std::byte> out) override;
  std::vector<State> state() override { return {{"residual", residual_}}; }

 private:
  std::unique_ptr<Bucketed> codec_;
  std::uint64_t position_;
  std::vector<float> residual_;
};

}  // namespace dtrain::codec
