#include "codec/codec.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

#include "base/error.hpp"
#include "codec/bucketed.hpp"
#include "codec/feedback.hpp"
#include "codec/packed.hpp"
#include "codec/signs.hpp"
#include "codec/topk.hpp"

namespace dtrain::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "the bytes are written as they lie in memory");

/// none: the floats as they are.
class None : public Bucketed {
 public:
  std::size_t bytes(std::size_t count) const override { return 4 * count; }
  bool encode(std::span<const float> values, std::uint64_t, std::uint64_t, std::byte* out) const override {
    if (!values.empty()) std::memcpy(out, values.data(), values.size_bytes());
    return true;
  }
  std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) const override {
    if (auto wrong = wrong_length(bytes.size(), out.size_bytes())) return wrong;
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return {};
  }
};

/// A codec without state as it is.
class Plain : public Encoder {
 public:
  Plain(std::unique_ptr<Bucketed> codec, std::uint64_t position) : codec_(std::move(codec)), position_(position) {}
  std::optional<std::size_t> encode(std::span<const float> values, const Turn& turn,
                                    std::span<std::byte> out) override {
    if (!codec_->encode(values, turn.step, position_, out.data())) return {};
    return codec_->bytes(values.size());
  }

 private:
  std::unique_ptr<Bucketed> codec_;
  std::uint64_t position_;
};

class PlainDecoder : public Decoder {
 public:
  explicit PlainDecoder(std::unique_ptr<Bucketed> codec) : codec_(std::move(codec)) {}
  std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) override {
    return codec_->decode(bytes, out);
  }

 private:
  std::unique_ptr<Bucketed> codec_;
};

/// Null for codecs that keep state of their own or wrap another.
std::unique_ptr<Bucketed> make_bucketed(const Options& options, const Range& range) {
  if (options.signs) return make_signs();
  switch (options.codec) {
    case job::Codec::none: return std::make_unique<None>();
    case job::Codec::fp16: return make_fp16();
    case job::Codec::bf16: return make_bf16();
    case job::Codec::qsgd: return make_qsgd(options.levels, range);
    case job::Codec::onebit: return make_onebit();
    case job::Codec::topk:
    case job::Codec::zstd: break;
  }
  return nullptr;
}

/// What zstd packs.
Options inner_of(const Options& options) {
  assert(options.inner != job::Codec::zstd);
  Options inner = options;
  inner.codec = options.inner;
  return inner;
}

std::size_t most_values(const Options& options, std::size_t count) {
  return topk_count(std::max(options.density, options.first_density), count);
}

}  // namespace

std::optional<Refusal> wrong_length(std::size_t given, std::size_t expected) {
  if (given == expected) return {};
  return Refusal{fmt::format("{} bytes, not {}", given, expected)};
}

float rescaling(double old_rate, double new_rate) {
  return old_rate > 0 && new_rate > 0 ? static_cast<float>(old_rate / new_rate) : 1;
}

bool has_feedback(const Options& options) {
  if (options.signs) return options.feedback.value_or(false);
  switch (options.codec) {
    case job::Codec::none:
    case job::Codec::topk: return false;
    case job::Codec::zstd: return has_feedback(inner_of(options));
    default: return options.feedback.value_or(options.codec == job::Codec::onebit);
  }
}

double density(const Options& options, double warmed) {
  if (warmed >= 1) return options.density;
  return options.first_density * std::pow(options.density / options.first_density, warmed);
}

std::size_t bytes(const Options& options, std::size_t count, double warmed) {
  if (const auto codec = make_bucketed(options, {})) return codec->bytes(count);
  if (options.codec == job::Codec::topk) return topk_bytes(topk_count(density(options, warmed), count), count);
  return zstd_bytes(bytes(inner_of(options), count, warmed));
}

std::size_t most_bytes(const Options& options, std::size_t count) {
  if (const auto codec = make_bucketed(options, {})) return codec->bytes(count);
  if (options.codec == job::Codec::topk) return topk_bytes(most_values(options, count), count);
  return zstd_bytes(most_bytes(inner_of(options), count));
}

std::unique_ptr<Encoder> make_encoder(const Options& options, const Range& range) {
  if (auto codec = make_bucketed(options, range)) {
    if (options.signs && has_feedback(options)) return std::make_unique<SignFeedback>(range);
    if (has_feedback(options)) return std::make_unique<Feedback>(std::move(codec), range);
    return std::make_unique<Plain>(std::move(codec), range.position);
  }
  if (options.codec == job::Codec::topk) return std::make_unique<TopkEncoder>(options, range.count);
  const Options inner = inner_of(options);
  return std::make_unique<ZstdEncoder>(make_encoder(inner, range), most_bytes(inner, range.count), options.zstd_level);
}

std::unique_ptr<Decoder> make_decoder(const Options& options, std::size_t count) {
  if (auto codec = make_bucketed(options, {})) return std::make_unique<PlainDecoder>(std::move(codec));
  if (options.codec == job::Codec::topk) return std::make_unique<TopkDecoder>(most_values(options, count));
  const Options inner = inner_of(options);
  return std::make_unique<ZstdDecoder>(make_decoder(inner, count), most_bytes(inner, count));
}

}  // namespace dtrain::codec
