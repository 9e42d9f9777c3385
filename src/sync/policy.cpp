#include "sync/policy.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "sync/policies.hpp"

namespace dtrain::sync {
namespace {

using Name = job::PolicyName;

[[noreturn]] void unknown() { throw std::logic_error("a policy that is not in its visit"); }

class GradientRhythm final : public Rhythm {
 public:
  Turn turn(Clock /*clock*/, Clock /*due*/) const override { return {true, Turn::Exchange::gradient}; }
};

std::string adaptive_spec(const job::Sync& sync) {
  return fmt::format("adaptive:{}{}-{}", sync.adapt == job::Adapts::period ? "period:" : "", sync.low, sync.high);
}

}  // namespace

std::unique_ptr<Rhythm> make_gradient_rhythm() { return std::make_unique<GradientRhythm>(); }

std::unique_ptr<Policy> make_policy(const job::Sync& sync, const Setup& setup) {
  switch (sync.policy) {
    case Name::bsp:
    case Name::sign_vote: return make_bsp(setup);
    case Name::asp: return make_asp(setup);
    case Name::ssp: return make_ssp(sync, setup);
    case Name::quorum: return make_quorum(sync, setup);
    case Name::subset: return make_subset(sync, setup);
    case Name::local:
    case Name::bmuf: return make_local(sync, setup);
    case Name::easgd: return make_easgd(sync, setup);
    case Name::gossip: return make_gossip(setup);
    case Name::adaptive: return make_adaptive(sync, setup);
  }
  unknown();
}

std::unique_ptr<Rhythm> make_rhythm(const job::Sync& sync, const Setup& setup, Rank rank) {
  switch (sync.policy) {
    case Name::bsp:
    case Name::asp:
    case Name::ssp:
    case Name::quorum:
    case Name::sign_vote: return make_gradient_rhythm();
    case Name::subset: return make_subset_rhythm(sync, setup, rank);
    case Name::local:
    case Name::bmuf: return make_local_rhythm();
    case Name::easgd: return make_easgd_rhythm();
    case Name::gossip: return make_gossip_rhythm(setup, rank);
    case Name::adaptive: return sync.adapt == job::Adapts::period ? make_local_rhythm() : make_gradient_rhythm();
  }
  unknown();
}

Traits traits(const job::Sync& sync) {
  constexpr Traits each, blocks{.gated = true, .weights = true, .decided = true};
  switch (sync.policy) {
    case Name::bsp: return {.gated = true};
    case Name::asp:
    case Name::ssp: return each;
    case Name::quorum: return {.gated = true, .decided = true, .abandons = true, .folds_some = true};
    case Name::subset: return {.gated = true, .folds_some = true};
    case Name::local:
    case Name::bmuf: return blocks;
    case Name::easgd:
    case Name::gossip: return {.weights = true};
    case Name::sign_vote: return {.gated = true, .votes = true};
    case Name::adaptive: return sync.adapt == job::Adapts::period ? blocks : each;
  }
  unknown();
}

std::string spec(const job::Sync& sync) {
  switch (sync.policy) {
    case Name::bsp: return "bsp";
    case Name::asp: return "asp";
    case Name::ssp: return fmt::format("ssp:{}{}", sync.staleness, sync.eager ? ":eager" : "");
    case Name::quorum: return fmt::format("quorum:{}", sync.quorum.value());
    case Name::subset: return fmt::format("subset:{}", sync.size.value());
    case Name::local: return fmt::format("local:{}", sync.period);
    case Name::easgd: return fmt::format("easgd:{}", sync.period);
    case Name::bmuf: return fmt::format("bmuf:{}", sync.period);
    case Name::sign_vote: return "sign_vote";
    case Name::gossip: return "gossip";
    case Name::adaptive: return adaptive_spec(sync);
  }
  unknown();
}

}  // namespace dtrain::sync
