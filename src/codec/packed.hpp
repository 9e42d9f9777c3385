#pragma once
/// The bytes of another codec in one zstd frame, without loss.

#include <zstd.h>

#include "codec/codec.hpp"

namespace dtrain::codec {

class ZstdEncoder : public Encoder {
 public:
  ZstdEncoder(std::unique_ptr<Encoder> inner, std::size_t inner_bytes, int level);
  std::optional<std::size_t> encode(std::span<const float> values, const Turn& turn, std::span<std::byte> out) override;
  std::vector<State> state() override { return inner_->state(); }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<Encoder> inner_;
  std::vector<std::byte> plain_;
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

class ZstdDecoder : public Decoder {
 public:
  /// Refuses a frame whose content is larger than `inner_bytes`, before it inflates anything.
  ZstdDecoder(std::unique_ptr<Decoder> inner, std::size_t inner_bytes);
  std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) override;

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<Decoder> inner_;
  std::vector<std::byte> plain_;
  std::unique_ptr<ZSTD_DCtx, Free> context_;
};

/// The most bytes that a frame of so many takes.
std::size_t zstd_bytes(std::size_t inner_bytes);

}  // namespace dtrain::codec
