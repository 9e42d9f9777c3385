#pragma once
/// Deep gradient compression (Lin et al. 2018): the largest of the updates that have piled up, and where they lie.
///
/// A step adds velocity = momentum * velocity + factor * values to what is unsent, sends the k largest of that and
/// clears them there, and in the velocity too if it masks. factor keeps the values' norm within clip_norm.

#include "codec/codec.hpp"
#include "codec/largest.hpp"

namespace dtrain::codec {

class TopkEncoder : public Encoder {
 public:
  TopkEncoder(const Options& options, std::size_t count);
  std::optional<std::size_t> encode(std::span<const float> values, const Turn& turn, std::span<std::byte> out) override;
  std::vector<State> state() override;

 private:
  void pile_up(std::span<const float> values, const Turn& turn);

  Options options_;
  std::vector<float> unsent_;
  std::vector<float> velocity_;  ///< empty without momentum
  Largest largest_;
};

class TopkDecoder : public Decoder {
 public:
  /// Refuses more than `most` values.
  explicit TopkDecoder(std::size_t most) : most_(most) {}
  std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) override;

 private:
  std::size_t most_;
};

/// k: density * count, rounded up.
std::size_t topk_count(double density, std::size_t count);
/// Bytes for k of count values.
std::size_t topk_bytes(std::size_t k, std::size_t count);

}  // namespace dtrain::codec
