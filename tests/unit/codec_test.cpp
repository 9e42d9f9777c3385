#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>

#include "base/random.hpp"
#include "codec/draws.hpp"
#include "codec/halves.hpp"
#include "codec_support.hpp"

using namespace dtrain;
using namespace dtrain::codec;
using job::Codec;

namespace {

std::size_t allocations = 0;  // of this program, counted by the operators below

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float no_number = std::numeric_limits<float>::quiet_NaN();

const std::vector<Options> every_codec = {
    {},
    {.codec = Codec::fp16},
    {.codec = Codec::bf16},
    {.codec = Codec::bf16, .feedback = true},
    {.codec = Codec::qsgd, .levels = 1},
    {.codec = Codec::qsgd, .levels = 7},
    {.codec = Codec::qsgd, .levels = 100},
    {.codec = Codec::qsgd, .feedback = true, .levels = 127},
    {.codec = Codec::qsgd, .levels = 32767},
    {.codec = Codec::onebit},
    {.codec = Codec::onebit, .feedback = false},
    {.codec = Codec::topk, .density = 0.01, .first_density = 0.01, .momentum = 0.9f},
    {.codec = Codec::topk, .density = 0.3},
};

/// 16 bits read as what they mean, by the definition.
double half_value(std::uint32_t half, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const auto exponent = static_cast<int>(half >> fraction_bits & ((1u << exponent_bits) - 1));
  const double fraction = static_cast<double>(half & ((1u << fraction_bits) - 1)) / (1 << fraction_bits);
  const double size = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return half >> 15 != 0 ? -size : size;
}

/// Whether `half`, finite, is the nearest to `value`, and the even one of two.
bool nearest(float value, std::uint32_t half, int exponent_bits, int fraction_bits) {
  const auto at = [&](std::uint32_t bits) {
    const double most = std::ldexp(2.0, (1 << (exponent_bits - 1)) - 1);  // what would follow the largest
    const double size = (bits & 0x7fffu) == (0x7fffu >> fraction_bits << fraction_bits)
                            ? most
                            : std::abs(half_value(bits & 0x7fffu, exponent_bits, fraction_bits));
    return std::abs(size - static_cast<double>(std::abs(value)));
  };
  const double own = at(half);
  const bool up = at(half + 1) > own || (at(half + 1) == own && half % 2 == 0);
  const bool down = (half & 0x7fffu) == 0 || at(half - 1) > own || (at(half - 1) == own && half % 2 == 0);
  return up && down && (half >> 15 != 0) == std::signbit(value);
}

/// Floats of every exponent, the borders between halves, and their neighbours.
std::vector<float> telling_floats() {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 10007)
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  for (std::uint32_t half = 0; half < 65536; ++half)
    for (const float start : {from_fp16(static_cast<std::uint16_t>(half)), from_bf16(static_cast<std::uint16_t>(half))})
      for (const std::uint32_t step : {0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u})
        values.push_back(std::bit_cast<float>(std::bit_cast<std::uint32_t>(start) + step));
  for (float size = 0x1p-26f; size < 0x1p-13f; size += 0x1p-26f) values.push_back(size);
  return values;
}

bool is_half_nan(std::uint32_t half, int fraction_bits) {
  return (half & 0x7fffu) > (0x7fffu >> fraction_bits << fraction_bits);
}

template <class To, class From>
int badly_rounded(const std::vector<float>& values, To to, From from, int exponent_bits, int fraction_bits) {
  int bad = 0;
  for (const float value : values) {
    const std::uint16_t half = to(value);
    if (std::isnan(value))
      bad += is_half_nan(half, fraction_bits) && std::isnan(from(half)) ? 0 : 1;
    else if (std::isinf(value))
      bad += from(half) == value ? 0 : 1;
    else if (std::isinf(from(half)))
      bad += nearest(value, half - 1u, exponent_bits, fraction_bits) ? 1 : 0;
    else
      bad += nearest(value, half, exponent_bits, fraction_bits) ? 0 : 1;
  }
  return bad;
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("every codec takes exactly the bytes that it foretells, for any count, and zstd no more than those") {
  for (const std::size_t n : awkward_counts) {
    CAPTURE(n);
    const Floats values = normal_values(n, 1);
    for (Options options : every_codec) {
      CAPTURE(static_cast<int>(options.codec));
      CHECK(encoded_once(options, values).size() == bytes(options, n));
      CHECK(bytes(options, n) <= most_bytes(options, n));
      options.inner = options.codec;
      options.codec = Codec::zstd;
      CHECK(encoded_once(options, values).size() <= bytes(options, n));
    }
    CHECK(bytes({}, n) == 4 * n);
    CHECK(bytes({.codec = Codec::fp16}, n) == 2 * n);
    CHECK(bytes({.codec = Codec::bf16}, n) == 2 * n);
    CHECK(bytes({.codec = Codec::onebit}, n) == (n + 7) / 8 + 8 * ((n + 511) / 512));
  }
}

TEST_CASE("none gives back the same bits, and zstd what the codec under it gives") {
  for (const std::size_t n : awkward_counts) {
    Floats values = normal_values(n, 2);
    for (Options options : every_codec) {
      if (options.codec == Codec::none && n > 3) values[1] = no_number, values[2] = inf, values[3] = -0.0f;
      if (options.codec != Codec::none) values = normal_values(n, 3);
      const Floats plain = decoded(options, encoded_once(options, values), n);
      if (options.codec == Codec::none) CHECK((n == 0 || std::memcmp(plain.data(), values.data(), 4 * n) == 0));
      options.inner = options.codec;
      options.codec = Codec::zstd;
      const Floats packed = decoded(options, encoded_once(options, values), n);
      CHECK((n == 0 || std::memcmp(plain.data(), packed.data(), 4 * n) == 0));
    }
  }
}

TEST_CASE("fp16 and bf16 round to the nearest, ties to even; inf and nan survive") {
  const std::vector<float> values = telling_floats();
  CHECK(badly_rounded(values, to_fp16, from_fp16, 5, 10) == 0);
  CHECK(badly_rounded(values, to_bf16, from_bf16, 8, 7) == 0);
  CHECK(to_fp16(65519.996f) == 0x7bff);
  CHECK(to_fp16(65520.0f) == 0x7c00);
  CHECK(to_fp16(-0x1p-25f) == 0x8000);
  CHECK(to_fp16(0x1.000002p-25f) == 1);
}

TEST_CASE("every half comes back from the float that it means") {
  for (std::uint32_t half = 0; half < 65536; ++half) {
    const auto bits = static_cast<std::uint16_t>(half);
    if (!is_half_nan(half, 10)) REQUIRE(to_fp16(from_fp16(bits)) == bits);
    if (!is_half_nan(half, 7)) REQUIRE(to_bf16(from_bf16(bits)) == bits);
    if ((half & 0x7c00u) != 0x7c00u) REQUIRE(static_cast<double>(from_fp16(bits)) == half_value(half, 5, 10));
    if ((half & 0x7f80u) != 0x7f80u) REQUIRE(static_cast<double>(from_bf16(bits)) == half_value(half, 8, 7));
  }
}

TEST_CASE("the processor's conversions of whole vectors give the portable code's bits") {
  const std::vector<float> values = telling_floats();
  std::vector<std::uint16_t> fp16(values.size()), bf16(values.size());
  write_fp16(values, reinterpret_cast<std::byte*>(fp16.data()));
  write_bf16(values, reinterpret_cast<std::byte*>(bf16.data()));
  int different = 0;
  for (std::size_t k = 0; k < values.size(); ++k)
    different += fp16[k] != to_fp16(values[k]) || bf16[k] != to_bf16(values[k]) ? 1 : 0;
  CHECK(different == 0);

  std::vector<std::uint16_t> halves(65536);
  for (std::size_t k = 0; k < halves.size(); ++k) halves[k] = static_cast<std::uint16_t>(k);
  Floats wide16(halves.size()), wideb(halves.size());
  read_fp16(reinterpret_cast<const std::byte*>(halves.data()), wide16);
  read_bf16(reinterpret_cast<const std::byte*>(halves.data()), wideb);
  for (std::size_t k = 0; k < halves.size(); ++k) {
    REQUIRE(std::bit_cast<std::uint32_t>(wide16[k]) == std::bit_cast<std::uint32_t>(from_fp16(halves[k])));
    REQUIRE(std::bit_cast<std::uint32_t>(wideb[k]) == std::bit_cast<std::uint32_t>(from_bf16(halves[k])));
  }
}

TEST_CASE("each weight's draw is the one that base's generator gives for its name") {
  const std::uint64_t seed = 0x123456789abcdefull, step = 0x300000005ull;
  for (const std::uint64_t position : {std::uint64_t{0}, std::uint64_t{64}, std::uint64_t{16} << 30}) {
    std::array<std::uint32_t, 256> words;
    draws({seed, 9, step}, position, words);
    for (std::size_t k = 0; k < words.size(); ++k) {
      const std::uint64_t weight = position + k;
      const auto number = static_cast<std::uint32_t>(weight / 64 * 16 + weight % 16);
      REQUIRE(words[k] == draw(seed, Purpose::codec, 9, step, number)[weight % 64 / 16]);
    }
  }
}

TEST_CASE("qsgd is right in the mean, and its variance is within the bound") {
  constexpr int rounds = 4000;
  for (const int levels : {1, 3, 7, 127, 5000}) {
    const std::size_t n = levels == 3 ? 100 : 512;
    const std::uint64_t seed = 77 + static_cast<std::uint64_t>(levels);
    CAPTURE(levels);
    CAPTURE(seed);
    const Options options{.codec = Codec::qsgd, .levels = levels};
    const Floats values = normal_values(n, static_cast<std::uint32_t>(seed));
    const auto encoder = make_encoder(options, {.seed = seed, .sender = 2, .position = 1000, .count = n});
    std::vector<double> sum(n), squares(n);
    for (std::uint64_t step = 0; step < rounds; ++step) {
      const Floats out = decoded(options, encoded(*encoder, options, values, {.step = step}), n);
      for (std::size_t k = 0; k < n; ++k) {
        const double error = static_cast<double>(out[k]) - static_cast<double>(values[k]);
        sum[k] += error;
        squares[k] += error * error / rounds;
      }
    }
    const double norm = norm_of(values), s = levels, count = static_cast<double>(n);
    const double variance = std::accumulate(squares.begin(), squares.end(), 0.0);
    CHECK(variance <= std::min(count / (s * s), std::sqrt(count) / s) * norm * norm);
    CHECK(variance > 0);
    // The square of a mean error is on average its variance over the rounds, and deviates by sqrt(2) times that.
    double spread = 0, mean_squares = 0;
    for (std::size_t k = 0; k < n; ++k) {
      mean_squares += sum[k] * sum[k] / rounds;
      spread += 2 * squares[k] * squares[k];
    }
    CHECK(std::abs(mean_squares - variance) < 4 * std::sqrt(spread));
    double total = 0;
    for (const double error : sum) total += error / rounds;
    CHECK(std::abs(total) < 4 * std::sqrt(variance / rounds));
  }
}

TEST_CASE("qsgd's roundings belong to the weight, the sender and the step, not to the cut") {
  const Options options{.codec = Codec::qsgd, .levels = 7};
  const Floats values = normal_values(2048, 5);
  const Bytes whole = encoded_once(options, values, {.position = 96}, {.step = 3});
  const Floats rest(values.begin() + 512, values.end());
  const Bytes later = encoded_once(options, rest, {.position = 96 + 512}, {.step = 3});
  REQUIRE(whole.size() == later.size() + bytes(options, 512));
  CHECK(std::memcmp(whole.data() + bytes(options, 512), later.data(), later.size()) == 0);
  CHECK(whole == encoded_once(options, values, {.position = 96}, {.step = 3}));
  CHECK(whole != encoded_once(options, values, {.position = 96}, {.step = 4}));
  CHECK(whole != encoded_once(options, values, {.sender = 1, .position = 96}, {.step = 3}));
  CHECK(whole != encoded_once(options, values, {.seed = 2, .position = 96}, {.step = 3}));
  CHECK(whole != encoded_once(options, values, {.position = 97}, {.step = 3}));
}

TEST_CASE("qsgd keeps zeros, signs, a lone value and the smallest ones") {
  for (const int levels : {1, 7, 127, 1000}) {
    const Options options{.codec = Codec::qsgd, .levels = levels};
    Floats lone(700);
    lone[600] = -3.25f;
    CHECK(decoded(options, encoded_once(options, lone), 700) == lone);
    const Floats tiny(512, std::numeric_limits<float>::denorm_min());
    for (const float value : decoded(options, encoded_once(options, tiny), 512)) REQUIRE(std::isfinite(value));
    const Floats values = normal_values(512, 6);
    const Floats out = decoded(options, encoded_once(options, values), 512);
    for (std::size_t k = 0; k < 512; ++k) REQUIRE(out[k] * values[k] >= 0);
  }
}

TEST_CASE("onebit sends signs and the means of both sides, so that a bucket's sum survives") {
  for (const std::size_t n : {1u, 5u, 511u, 512u, 1300u}) {
    const Floats values = normal_values(n, 7);
    const Options options{.codec = Codec::onebit, .feedback = false};
    const Floats out = decoded(options, encoded_once(options, values), n);
    for (std::size_t k = 0; k < n; ++k) REQUIRE(std::signbit(out[k]) == std::signbit(values[k]));
    for (std::size_t begin = 0; begin < n; begin += bucket_values) {
      const std::size_t count = std::min(bucket_values, n - begin);
      const std::span<const float> in = std::span(values).subspan(begin, count);
      CHECK(std::abs(sum_of(std::span(out).subspan(begin, count)) - sum_of(in)) < 1e-5 * norm_of(in) * 23);
    }
  }
}

TEST_CASE("with feedback everything that was given is sent or left in the residual, value by value") {
  for (const Options& options : std::vector<Options>{{.codec = Codec::onebit},
                                                     {.codec = Codec::fp16, .feedback = true},
                                                     {.codec = Codec::bf16, .feedback = true},
                                                     {.codec = Codec::qsgd, .feedback = true, .levels = 127}})
    for (const std::size_t n : {1u, 513u, 5003u}) {
      CAPTURE(static_cast<int>(options.codec));
      const auto encoder = make_encoder(options, {.count = n});
      std::vector<double> given(n), sent(n);
      double largest = 0;
      for (std::uint32_t step = 0; step < 30; ++step) {
        const Floats values = normal_values(n, 100 + step);
        const Floats out = decoded(options, encoded(*encoder, options, values, {.step = step}), n);
        for (std::size_t k = 0; k < n; ++k) {
          given[k] += static_cast<double>(values[k]);
          sent[k] += static_cast<double>(out[k]);
          largest = std::max({largest, std::abs(sent[k]), static_cast<double>(std::abs(out[k]))});
        }
      }
      const auto residual = encoder->state().at(0).values;
      for (std::size_t k = 0; k < n; ++k)
        REQUIRE(std::abs(sent[k] + static_cast<double>(residual[k]) - given[k]) < 30 * 3e-7 * (largest + 10));
    }
}

TEST_CASE("a change of the rate scales what is left, so that it counts for what it was worth") {
  CHECK(rescaling(0.1, 0.05) == 2);
  CHECK(rescaling(0, 0.05) == 1);
  CHECK(rescaling(0.1, 0) == 1);
  const std::size_t n = 600;
  for (const Options& options :
       std::vector<Options>{{.codec = Codec::onebit}, {.codec = Codec::topk, .density = 0.01}}) {
    const auto one = make_encoder(options, {.count = n}), other = make_encoder(options, {.count = n});
    const Floats first = normal_values(n, 8), second = normal_values(n, 9);
    encoded(*one, options, first);
    encoded(*other, options, first);
    const std::span<float> residual = other->state().at(0).values;
    for (float& value : residual) value *= 4;
    CHECK(encoded(*one, options, second, {.rescale = 4}) == encoded(*other, options, second));
  }
}

TEST_CASE("an encoder that is given another's state goes on with the same bytes") {
  for (const Options& options : every_codec) {
    const std::size_t n = 3001;
    const auto one = make_encoder(options, {.count = n}), other = make_encoder(options, {.count = n});
    for (std::uint32_t step = 0; step < 5; ++step) encoded(*one, options, normal_values(n, step), {.step = step});
    const auto from = one->state(), to = other->state();
    REQUIRE(from.size() == to.size());
    for (std::size_t s = 0; s < from.size(); ++s) {
      CHECK(from[s].name == to[s].name);
      std::copy(from[s].values.begin(), from[s].values.end(), to[s].values.begin());
    }
    const Floats values = normal_values(n, 50);
    CHECK(encoded(*one, options, values, {.step = 5}) == encoded(*other, options, values, {.step = 5}));
  }
}

TEST_CASE("values that are not finite are carried as they are or not at all, and then leave the state as it was") {
  for (const Options& options : every_codec) {
    CAPTURE(static_cast<int>(options.codec));
    const std::size_t n = 5000;
    const auto encoder = make_encoder(options, {.count = n});
    encoded(*encoder, options, normal_values(n, 1));
    std::vector<Floats> before;
    for (const State& state : encoder->state()) before.emplace_back(state.values.begin(), state.values.end());
    for (const float bad : {no_number, -no_number, inf, -inf}) {
      Floats values = normal_values(n, 2);
      values[4999] = bad;
      Bytes out(most_bytes(options, n));
      const auto used = encoder->encode(values, {}, out);
      const bool carries = !has_feedback(options) && (options.codec == Codec::none || options.codec == Codec::fp16 ||
                                                      options.codec == Codec::bf16);
      CHECK(used.has_value() == carries);
      if (used) CHECK(!std::isfinite(decoded(options, std::span(out).first(*used), n)[4999]));
      const auto after = encoder->state();
      for (std::size_t s = 0; s < after.size(); ++s)
        CHECK(std::equal(before[s].begin(), before[s].end(), after[s].values.begin()));
    }
  }
}

TEST_CASE("nothing is allocated once a step of every size has been seen") {
  for (Options options : every_codec)
    for (const bool packed : {false, true}) {
      if (packed) options.inner = options.codec, options.codec = Codec::zstd;
      const std::size_t n = 20011;
      const auto encoder = make_encoder(options, {.count = n});
      const auto decoder = make_decoder(options, n);
      const Floats values = normal_values(n, 3);
      Floats out(n);
      Bytes bytes(most_bytes(options, n));
      for (std::uint64_t step = 0; step < 20; ++step) {
        const std::size_t before = allocations;
        const auto used = encoder->encode(values, {.step = step}, bytes);
        const auto refusal = decoder->decode(std::span(bytes).first(*used), out);
        const std::size_t during = allocations - before;
        REQUIRE(!refusal);
        if (step >= 10) REQUIRE(during == 0);
      }
    }
}
