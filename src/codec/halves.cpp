#include "codec/halves.hpp"

#include <bit>

#include "codec/bucketed.hpp"
#include "math/clones.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace dtrain::codec {
namespace {

DTRAIN_INLINE std::uint16_t round_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  const std::uint32_t nan = bits >> 16 | 0x40u;
  return static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

DTRAIN_INLINE float widen_bf16(std::uint16_t half) { return std::bit_cast<float>(std::uint32_t{half} << 16); }

DTRAIN_CLONES void narrow_all_bf16(const float* values, std::size_t count, std::byte* bytes) {
  for (std::size_t k = 0; k < count; ++k) store(round_to_bf16(values[k]), bytes + 2 * k);
}

DTRAIN_CLONES void widen_all_bf16(const std::byte* bytes, std::size_t count, float* values) {
  for (std::size_t k = 0; k < count; ++k) values[k] = widen_bf16(load<std::uint16_t>(bytes + 2 * k));
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) std::size_t narrow_by_f16c(const float* values, std::size_t count,
                                                               std::byte* bytes) {
  std::size_t k = 0;
  for (; k + 8 <= count; k += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(values + k), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + 2 * k), halves);
  }
  return k;
}

__attribute__((target("avx,f16c"))) std::size_t widen_by_f16c(const std::byte* bytes, std::size_t count,
                                                              float* values) {
  std::size_t k = 0;
  for (; k + 8 <= count; k += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + 2 * k));
    _mm256_storeu_ps(values + k, _mm256_cvtph_ps(halves));
  }
  return k;
}

// clang cannot be asked for f16c; every processor with AVX2 has it, as in x86-64-v3.
bool has_f16c() { return __builtin_cpu_supports("avx2") != 0; }
#else
std::size_t narrow_by_f16c(const float*, std::size_t, std::byte*) { return 0; }
std::size_t widen_by_f16c(const std::byte*, std::size_t, float*) { return 0; }
bool has_f16c() { return false; }
#endif

using Write = void (*)(std::span<const float>, std::byte*);
using Read = void (*)(const std::byte*, std::span<float>);

class Halves : public Bucketed {
 public:
  Halves(Write write, Read read) : write_(write), read_(read) {}
  std::size_t bytes(std::size_t count) const override { return 2 * count; }
  bool encode(std::span<const float> values, std::uint64_t, std::uint64_t, std::byte* out) const override {
    write_(values, out);
    return true;
  }
  std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) const override {
    if (auto wrong = wrong_length(bytes.size(), 2 * out.size())) return wrong;
    read_(bytes.data(), out);
    return {};
  }

 private:
  Write write_;
  Read read_;
};

}  // namespace

std::uint16_t to_bf16(float value) { return round_to_bf16(value); }
float from_bf16(std::uint16_t half) { return widen_bf16(half); }

std::uint16_t to_fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  std::uint32_t half;
  if (size > 0x7f800000u) {
    half = 0x7e00u | (size >> 13 & 0x3ffu);
  } else if (size >= 0x477ff000u) {  // 65520, halfway from the largest half to where the next would be
    half = 0x7c00u;
  } else if (size >= 0x38800000u) {  // 2^-14, the smallest normal half
    half = (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13;
  } else {
    // A subnormal half counts steps of 2^-24, which is what adding 2^-1 leaves in a float's lowest bits, rounded.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
  }
  return static_cast<std::uint16_t>(sign | half);
}

float from_fp16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16, size = half & 0x7fffu;
  if (size > 0x7c00u) return std::bit_cast<float>(sign | 0x7fc00000u | size << 13);
  if (size == 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u);
  if (size >= 0x400u) return std::bit_cast<float>(sign | ((size << 13) + 0x38000000u));
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(static_cast<float>(size) * 0x1p-24f));
}

void write_fp16(std::span<const float> values, std::byte* bytes) {
  std::size_t k = has_f16c() ? narrow_by_f16c(values.data(), values.size(), bytes) : 0;
  for (; k < values.size(); ++k) store(to_fp16(values[k]), bytes + 2 * k);
}

void read_fp16(const std::byte* bytes, std::span<float> values) {
  std::size_t k = has_f16c() ? widen_by_f16c(bytes, values.size(), values.data()) : 0;
  for (; k < values.size(); ++k) values[k] = from_fp16(load<std::uint16_t>(bytes + 2 * k));
}

void write_bf16(std::span<const float> values, std::byte* bytes) {
  narrow_all_bf16(values.data(), values.size(), bytes);
}

void read_bf16(const std::byte* bytes, std::span<float> values) { widen_all_bf16(bytes, values.size(), values.data()); }

std::unique_ptr<Bucketed> make_fp16() { return std::make_unique<Halves>(write_fp16, read_fp16); }
std::unique_ptr<Bucketed> make_bf16() { return std::make_unique<Halves>(write_bf16, read_bf16); }

}  // namespace dtrain::codec
