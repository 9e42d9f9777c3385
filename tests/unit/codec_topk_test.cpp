#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "codec/largest.hpp"
#include "codec/topk.hpp"
#include "codec_support.hpp"

using namespace dtrain;
using namespace dtrain::codec;
using job::Codec;

namespace {

/// By a sort of everything: the larger size first, then the lower index.
std::vector<std::uint32_t> sorted_largest(const Floats& values, std::size_t k) {
  const auto size = [&](std::uint32_t i) { return std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffu; };
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return size(a) > size(b); });
  order.resize(k);
  std::sort(order.begin(), order.end());
  return order;
}

/// Vectors on which a guess from a sample is right, badly wrong, or of no use.
Floats shaped(std::size_t n, int shape, std::uint32_t seed) {
  Floats values = normal_values(n, seed);
  std::mt19937 engine(seed);
  if (shape == 1) std::fill(values.begin(), values.end(), -1.5f);
  if (shape == 2)
    for (float& value : values) value = static_cast<float>(engine() % 4) - 2;
  if (shape == 3)
    for (std::size_t k = 0; k < n; ++k) values[k] *= k < n / 50 ? 100.0f : 1e-3f;
  if (shape == 4) std::sort(values.begin(), values.end());
  if (shape == 5)
    for (std::size_t k = 0; k < n; ++k) values[k] = k % 1000 < 16 ? 0.0f : values[k];
  return values;
}

Options topk(double density, float momentum = 0, bool masking = true) {
  return {.codec = Codec::topk, .density = density, .first_density = density, .momentum = momentum, .masking = masking};
}

}  // namespace

TEST_CASE("the largest are those that a sort would give, of equals the lower index, whatever a sample says") {
  Largest largest;
  for (std::uint32_t round = 0; round < 120; ++round) {
    std::mt19937 engine(round);
    const std::size_t n = 1 + engine() % (round % 10 == 0 ? 200000 : 3000);
    const int shape = static_cast<int>(round % 6);
    CAPTURE(round);
    const Floats values = shaped(n, shape, round);
    for (const std::size_t k : {std::size_t{0}, std::size_t{1}, n / 1000, n / 40, n / 3, n - 1, n}) {
      if (k > n) continue;
      const auto picked = largest.pick(values, k);
      REQUIRE(std::ranges::equal(picked, sorted_largest(values, k)));
    }
  }
}

TEST_CASE("topk sends the largest of what has piled up and keeps the rest, value by value") {
  for (const double density : {0.001, 0.02, 0.1, 0.7}) {
    const Options options = topk(density);
    for (const std::size_t n : awkward_counts) {
      CAPTURE(n);
      const auto encoder = make_encoder(options, {.count = n});
      Floats unsent(n);
      for (std::uint32_t step = 0; step < 4; ++step) {
        const Floats values = normal_values(n, 10 + step);
        for (std::size_t k = 0; k < n; ++k) unsent[k] += values[k];
        const Floats out = decoded(options, encoded(*encoder, options, values), n);
        Floats expected(n);
        for (const auto index : sorted_largest(unsent, topk_count(density, n)))
          std::swap(expected[index], unsent[index]);
        REQUIRE(out == expected);
        REQUIRE(std::ranges::equal(encoder->state().at(0).values, unsent));
      }
    }
  }
}

TEST_CASE("topk of everything is momentum SGD without masking, and plain SGD with it") {
  const std::size_t n = 3000;
  const auto unmasked = make_encoder(topk(1, 0.9f, false), {.count = n});
  const auto masked = make_encoder(topk(1, 0.9f, true), {.count = n});
  Floats velocity(n);
  for (std::uint32_t step = 0; step < 20; ++step) {
    const Floats gradient = normal_values(n, step);
    for (std::size_t k = 0; k < n; ++k) velocity[k] = 0.9f * velocity[k] + gradient[k];
    REQUIRE(decoded(topk(1), encoded(*unmasked, topk(1), gradient), n) == velocity);
    REQUIRE(decoded(topk(1), encoded(*masked, topk(1), gradient), n) == gradient);
  }
}

TEST_CASE("masking clears the velocity of exactly the values that are sent") {
  const std::size_t n = 1000;
  const Options options = topk(0.05, 0.5f);
  const auto encoder = make_encoder(options, {.count = n});
  Floats velocity(n), unsent(n);
  for (std::uint32_t step = 0; step < 10; ++step) {
    const Floats gradient = normal_values(n, 40 + step);
    for (std::size_t k = 0; k < n; ++k) {
      velocity[k] = 0.5f * velocity[k] + gradient[k];
      unsent[k] += velocity[k];
    }
    for (const auto index : sorted_largest(unsent, 50)) velocity[index] = unsent[index] = 0;
    encoded(*encoder, options, gradient);
    REQUIRE(encoder->state().at(1).name == "velocity");
    REQUIRE(std::ranges::equal(encoder->state().at(1).values, velocity));
    REQUIRE(std::ranges::equal(encoder->state().at(0).values, unsent));
  }
}

TEST_CASE("a range's norm is clipped before it is added, and only if it is larger") {
  Options options = topk(1);
  options.clip_norm = 5;
  for (const float scale : {0.01f, 1.0f}) {
    const Floats values = normal_values(9000, 3, scale);
    const Floats out = decoded(options, encoded_once(options, values), values.size());
    if (scale < 1)
      CHECK(out == values);
    else
      CHECK(std::abs(norm_of(out) - 5) < 1e-5);
  }
}

TEST_CASE("the density falls from the first to the last as the warm-up passes, and no step takes more than the most") {
  for (const double last : {0.001, 0.01, 0.5}) {
    const Options options{.codec = Codec::topk, .density = last};
    CHECK(density(options, 0) == doctest::Approx(0.25));
    CHECK(density(options, 1) == last);
    CHECK(density(options, 0.5) == doctest::Approx(std::sqrt(0.25 * last)));
    const std::size_t n = 10007;
    const auto encoder = make_encoder(options, {.count = n});
    for (double warmed = 0; warmed <= 1; warmed += 0.05) {
      const Bytes written = encoded(*encoder, options, normal_values(n, 4), {.warmed = warmed});
      CHECK(written.size() == bytes(options, n, warmed));
      CHECK(written.size() <= most_bytes(options, n));
      decoded(options, written, n);
    }
  }
}

TEST_CASE("topk takes 4 bytes, 4 a value, and the shorter of a bit a weight and 2 bytes a value with 4 a block") {
  CHECK(topk_bytes(0, 0) == 4);
  CHECK(topk_bytes(1, 1) == 4 + 4 + 1);
  CHECK(topk_bytes(100, 65536) == 4 + 400 + 200 + 4);
  CHECK(topk_bytes(100, 65537) == 4 + 400 + 200 + 8);
  CHECK(topk_bytes(65536, 65536) == 4 + 4 * 65536 + 8192);
}
