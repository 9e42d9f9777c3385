/// The signs of values as a codec, and what makes up for all that they leave out.

#include <cmath>
#include <limits>

#include "codec_support.hpp"
#include "math/signs.hpp"

using namespace dtrain;
using namespace dtrain::codec;

namespace {

const Options plain{.signs = true};
const Options with_feedback{.signs = true, .feedback = true};

Floats signs(const Floats& values, SignPlace place) {
  Floats out(values.size());
  signs_of(values, place, out);
  return out;
}

/// One step of an encoder, as its receiver sees it.
Floats sent(Encoder& encoder, const Options& options, const Floats& values, const Turn& turn) {
  return decoded(options, encoded(encoder, options, values, turn), values.size());
}

}  // namespace

TEST_CASE("signs take one bit a value, and those of nothing are by step and place") {
  for (const std::size_t count : awkward_counts)
    for (const std::uint64_t step : {4u, 7u})
      for (const std::uint64_t position : {0u, 16u, 4097u}) {
        CAPTURE(count);
        Floats values = normal_values(count, static_cast<std::uint32_t>(count) + 1);
        for (std::size_t k = 0; k < count; k += 3) values[k] = 0;
        const Bytes bytes = encoded_once(plain, values, {.position = position}, {.step = step});
        CHECK(bytes.size() == (count + 7) / 8);
        CHECK(codec::bytes(plain, count) == bytes.size());
        CHECK(decoded(plain, bytes, count) == signs(values, {step, static_cast<Index>(position)}));
      }
}

TEST_CASE("signs refuse another length, and bits where no value is") {
  CHECK(refusal_of(plain, Bytes{}, 0) == "");
  CHECK(refusal_of(plain, Bytes(2, std::byte{0x07}), 11) == "");
  CHECK(refusal_of(plain, Bytes(2, std::byte{0x08}), 11) == "sign bits are set where no value is");
  CHECK(refusal_of(plain, Bytes(2, std::byte{0xff}), 11) == "sign bits are set where no value is");
  CHECK(refusal_of(plain, Bytes(2, std::byte{0xff}), 16) == "");
  CHECK(refusal_of(plain, Bytes(2), 17) == "2 bytes, not 3");
  CHECK(refusal_of(plain, Bytes(2), 8) == "2 bytes, not 1");
}

TEST_CASE("signs have feedback only if it is asked for, and no residual takes what is not finite") {
  CHECK_FALSE(has_feedback(plain));
  CHECK(has_feedback(with_feedback));
  CHECK(make_encoder(plain, {.count = 9})->state().empty());
  const auto encoder = make_encoder(with_feedback, {.count = 9});
  sent(*encoder, with_feedback, normal_values(9, 1), {});
  const Floats before(encoder->state()[0].values.begin(), encoder->state()[0].values.end());
  Floats values = normal_values(9, 2);
  Bytes out(2);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    values[4] = bad;
    CHECK_FALSE(encoder->encode(values, {}, out));
    CHECK(Floats(encoder->state()[0].values.begin(), encoder->state()[0].values.end()) == before);
  }
}

TEST_CASE("with feedback the values are what went out, at its magnitude, and what is left") {
  constexpr std::size_t count = 500;
  const auto encoder = make_encoder(with_feedback, {.position = 100, .count = count});
  const std::span<const float> residual = encoder->state()[0].values;
  std::vector<double> in(count), out(count);
  for (std::uint64_t step = 0; step < 300; ++step) {
    const Floats gradient = normal_values(count, static_cast<std::uint32_t>(step));
    Floats whole(residual.begin(), residual.end());
    double magnitude = 0;
    for (std::size_t k = 0; k < count; ++k) {
      whole[k] += gradient[k];
      magnitude += std::abs(double(whole[k])) / double(count);
    }
    const Floats taken = sent(*encoder, with_feedback, gradient, {.step = step});
    REQUIRE(taken == signs(whole, {step, 100}));
    for (std::size_t k = 0; k < count; ++k) {
      in[k] += double(gradient[k]);
      out[k] += magnitude * double(taken[k]);
    }
  }
  for (std::size_t k = 0; k < count; ++k) REQUIRE(out[k] + double(residual[k]) == doctest::Approx(in[k]).epsilon(1e-3));
}

TEST_CASE("a residual of signs counts in steps: when the rate halves, it doubles") {
  const auto encoder = make_encoder(with_feedback, {.count = 8});
  const std::span<const float> residual = encoder->state()[0].values;
  sent(*encoder, with_feedback, {1, 2, 3, 4, 5, 6, 7, 8}, {});
  CHECK(residual[0] == 1 - 4.5f);
  // Twice (g - 4.5 in each), the mean magnitude of which is 4.
  const Floats taken = sent(*encoder, with_feedback, Floats(8), {.step = 1, .rescale = rescaling(0.5, 0.25)});
  CHECK(taken == Floats{-1, -1, -1, -1, 1, 1, 1, 1});
  CHECK(residual[0] == -7 + 4);
  CHECK(residual[7] == 7 - 4);
}

TEST_CASE("feedback learns where the signs alone cannot: a rare large gradient against many small ones") {
  // The gradient is +3 in one step of four and -0.5 in the others: its mean is positive, most of its signs are not.
  // Many weights beside it say what a sign is worth.
  for (const Options& options : {plain, with_feedback}) {
    const auto encoder = make_encoder(options, {.count = 32});
    float w = 0;
    for (std::uint64_t step = 0; step < 400; ++step) {
      Floats gradient(32, step % 2 == 0 ? 1.0f : -1.0f);
      gradient[0] = step % 4 == 0 ? 3.0f : -0.5f;
      w -= 0.01f * sent(*encoder, options, gradient, {.step = step})[0];
    }
    CHECK((w < 0) == has_feedback(options));
  }
}
