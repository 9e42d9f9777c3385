#include "codec/packed.hpp"

#include "base/error.hpp"

namespace dtrain::codec {

std::size_t zstd_bytes(std::size_t inner_bytes) { return ZSTD_compressBound(inner_bytes); }

ZstdEncoder::ZstdEncoder(std::unique_ptr<Encoder> inner, std::size_t inner_bytes, int level)
    : inner_(std::move(inner)), plain_(inner_bytes), context_(ZSTD_createCCtx()) {
  if (!context_) fail(Kind::environment, "no memory for zstd");
  const std::size_t set = ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
  if (ZSTD_isError(set) != 0) fail(Kind::internal, "zstd level {}: {}", level, ZSTD_getErrorName(set));
}

std::optional<std::size_t> ZstdEncoder::encode(std::span<const float> values, const Turn& turn,
                                               std::span<std::byte> out) {
  const auto plain_bytes = inner_->encode(values, turn, plain_);
  if (!plain_bytes) return {};
  const std::size_t bytes = ZSTD_compress2(context_.get(), out.data(), out.size(), plain_.data(), *plain_bytes);
  if (ZSTD_isError(bytes) != 0) fail(Kind::internal, "zstd: {}", ZSTD_getErrorName(bytes));
  return bytes;
}

ZstdDecoder::ZstdDecoder(std::unique_ptr<Decoder> inner, std::size_t inner_bytes)
    : inner_(std::move(inner)), plain_(inner_bytes), context_(ZSTD_createDCtx()) {
  if (!context_) fail(Kind::environment, "no memory for zstd");
}

std::optional<Refusal> ZstdDecoder::decode(std::span<const std::byte> bytes, std::span<float> out) {
  const unsigned long long declared = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (declared == ZSTD_CONTENTSIZE_ERROR || declared == ZSTD_CONTENTSIZE_UNKNOWN)
    return Refusal{"no zstd frame that declares its content's size"};
  if (declared > plain_.size())
    return Refusal{fmt::format("{} bytes are declared, where at most {} fit", declared, plain_.size())};
  if (ZSTD_findFrameCompressedSize(bytes.data(), bytes.size()) != bytes.size())
    return Refusal{"not one whole zstd frame"};
  const auto size = static_cast<std::size_t>(declared);
  const std::size_t inflated = ZSTD_decompressDCtx(context_.get(), plain_.data(), size, bytes.data(), bytes.size());
  if (ZSTD_isError(inflated) != 0) return Refusal{fmt::format("zstd: {}", ZSTD_getErrorName(inflated))};
  if (inflated != size) return Refusal{"the content has another size than the frame declares"};
  return inner_->decode(std::span(plain_).first(size), out);
}

}  // namespace dtrain::codec
