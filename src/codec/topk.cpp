#include "codec/topk.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "codec/topk_places.hpp"
#include "math/clones.hpp"
#include "math/fold.hpp"

namespace dtrain::codec {
namespace {

DTRAIN_CLONES void add_velocity(const float* values, std::size_t count, float factor, float momentum, float rescale,
                                float* velocity, float* unsent) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) {
    velocity[k] = momentum * velocity[k] + factor * values[k];
    unsent[k] = rescale * unsent[k] + velocity[k];
  }
}

DTRAIN_CLONES void add_values(const float* values, std::size_t count, float factor, float rescale, float* unsent) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) unsent[k] = rescale * unsent[k] + factor * values[k];
}

/// What brings the values' norm down to `most`; 1 if it is no larger, or if any is allowed.
float clipping(std::span<const float> values, double most) {
  if (most <= 0) return 1;
  double squares = 0;
  for (; !values.empty(); values = values.subspan(std::min<std::size_t>(block_weights, values.size())))
    squares += sum_of_squares(values.first(std::min<std::size_t>(block_weights, values.size())));
  const double norm = std::sqrt(squares);
  return norm > most ? static_cast<float>(most / norm) : 1;
}

}  // namespace

std::size_t topk_count(double density, std::size_t count) {
  const double k = std::ceil(density * static_cast<double>(count));
  return std::min(static_cast<std::size_t>(k), count);
}

std::size_t topk_bytes(std::size_t k, std::size_t count) { return 4 + places_bytes(k, count) + 4 * k; }

TopkEncoder::TopkEncoder(const Options& options, std::size_t count)
    : options_(options), unsent_(count), velocity_(options.momentum > 0 ? count : 0) {}

std::vector<State> TopkEncoder::state() {
  std::vector<State> state{{"residual", unsent_}};
  if (!velocity_.empty()) state.push_back({"velocity", velocity_});
  return state;
}

void TopkEncoder::pile_up(std::span<const float> values, const Turn& turn) {
  const float factor = clipping(values, options_.clip_norm);
  if (velocity_.empty())
    add_values(values.data(), values.size(), factor, turn.rescale, unsent_.data());
  else
    add_velocity(values.data(), values.size(), factor, options_.momentum, turn.rescale, velocity_.data(),
                 unsent_.data());
}

std::optional<std::size_t> TopkEncoder::encode(std::span<const float> values, const Turn& turn,
                                               std::span<std::byte> out) {
  if (!all_finite(values)) return {};
  pile_up(values, turn);
  const auto chosen = largest_.pick(unsent_, topk_count(density(options_, turn.warmed), unsent_.size()));
  store(static_cast<std::uint32_t>(chosen.size()), out.data());
  std::byte* to = out.data() + 4;
  write_places(chosen, unsent_.size(), to);
  to += places_bytes(chosen.size(), unsent_.size());
  float* const unsent = unsent_.data();  // which no byte written can be taken for
  for (const std::uint32_t index : chosen) {
    store(unsent[index], to);
    to += 4;
    unsent[index] = 0;
  }
  if (options_.masking && !velocity_.empty())
    for (const std::uint32_t index : chosen) velocity_[index] = 0;
  return static_cast<std::size_t>(to - out.data());
}

std::optional<Refusal> TopkDecoder::decode(std::span<const std::byte> bytes, std::span<float> out) {
  if (bytes.size() < 4) return wrong_length(bytes.size(), topk_bytes(0, out.size()));
  const std::size_t k = load<std::uint32_t>(bytes.data());
  if (k > most_) return Refusal{fmt::format("{} values, where at most {} are sent", k, most_)};
  if (auto wrong = wrong_length(bytes.size(), topk_bytes(k, out.size()))) return wrong;
  std::fill(out.begin(), out.end(), 0.0f);
  const std::byte* places = bytes.data() + 4;
  return scatter(places, places + places_bytes(k, out.size()), k, out);
}

}  // namespace dtrain::codec
