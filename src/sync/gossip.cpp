/// gate: never waits, but for its partner's answer.  fold: an offer by itself, at once.  update: both have the mean.

#include "sync/gossip.hpp"

#include <algorithm>
#include <cassert>

#include "base/random.hpp"
#include "math/clones.hpp"
#include "sync/one_by_one.hpp"
#include "sync/policies.hpp"

namespace dtrain::sync {
namespace {

bool answers(Rank rank) { return !offers(rank); }

class GossipRhythm final : public Rhythm {
 public:
  GossipRhythm(std::size_t ranks, Rank rank) : rank_(rank), has_partner_(ranks > 1) {}
  Turn turn(Clock /*clock*/, Clock /*due*/) const override {
    return {true, offers(rank_) && has_partner_ ? Turn::Exchange::weights_before : Turn::Exchange::none};
  }
  void set_active(const std::vector<Rank>& active) override {
    has_partner_ = std::any_of(active.begin(), active.end(), answers);
  }

 private:
  Rank rank_;
  bool has_partner_;
};

DTRAIN_CLONES void average_floats(const float* mine, const float* theirs, float* out, std::size_t count) {
#pragma GCC ivdep
  for (std::size_t k = 0; k < count; ++k) out[k] = 0.5f * mine[k] + 0.5f * theirs[k];
}

}  // namespace

std::optional<Rank> partner_of(std::uint64_t seed, Rank rank, Clock clock, const std::vector<Rank>& active) {
  const auto odd = static_cast<std::uint64_t>(std::count_if(active.begin(), active.end(), answers));
  if (!offers(rank) || odd == 0) return std::nullopt;
  const std::uint64_t bits = draw(seed, Purpose::gossip, static_cast<std::uint32_t>(rank), clock)[0];
  std::uint64_t left = bits * odd >> 32;
  for (const Rank each : active)
    if (answers(each) && left-- == 0) return each;
  return std::nullopt;
}

void average_pair(std::span<const float> mine, std::span<const float> theirs, std::span<float> out) {
  assert(mine.size() == theirs.size() && mine.size() == out.size());
  average_floats(mine.data(), theirs.data(), out.data(), out.size());
}

std::unique_ptr<Policy> make_gossip(const Setup& setup) { return std::make_unique<OneByOne>(setup, OneByOne::Terms{}); }

std::unique_ptr<Rhythm> make_gossip_rhythm(const Setup& setup, Rank rank) {
  return std::make_unique<GossipRhythm>(setup.clocks.size(), rank);
}

}  // namespace dtrain::sync
