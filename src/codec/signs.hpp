#pragma once
/// One bit a value: its sign, and no magnitude. A zero has one too (math/signs.hpp).

#include "codec/bucketed.hpp"

namespace dtrain::codec {

std::unique_ptr<Bucketed> make_signs();

/// What signs leave out is not lost: it is added to the next values (Karimireddy et al. 2019, EF-signSGD).
///
/// The signs of a range stand for the mean magnitude of what they are the signs of. So at any time, for a constant
/// rate, the values that came in are the sum of sign times magnitude of what went out, and the residual.
class SignFeedback : public Encoder {
 public:
  explicit SignFeedback(const Range& range);
  std::optional<std::size_t> encode(std::span<const float> values, const Turn& turn, std::span<std::byte> out) override;
  std::vector<State> state() override { return {{"residual", residual_}}; }

 private:
  std::uint64_t position_;
  std::vector<float> residual_;
};

}  // namespace dtrain::codec
