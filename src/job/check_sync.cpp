/// Rules on the policy and its numbers.

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "base/text.hpp"
#include "job/catalogue.hpp"
#include "job/check.hpp"
#include "job/resolve.hpp"

namespace dtrain::job {
namespace {

using P = PolicyName;

bool averages(const Sync& sync) {
  return sync.policy == P::local || sync.policy == P::bmuf ||
         (sync.policy == P::adaptive && sync.adapt == Adapts::period);
}

bool has_moments(OptimizerType type) { return type != OptimizerType::sgd; }

/// "only ssp has it", for keys that are read under some policies and not under this one.
struct Owned {
  const char* key;
  std::vector<P> by;
};
const std::vector<Owned>& owned_keys() {
  static const std::vector<Owned> keys{{"sync.staleness", {P::ssp}},
                                       {"sync.eager", {P::ssp}},
                                       {"sync.quorum", {P::quorum}},
                                       {"sync.size", {P::subset}},
                                       {"sync.adapt", {P::adaptive}},
                                       {"sync.low", {P::adaptive}},
                                       {"sync.high", {P::adaptive}},
                                       {"sync.period", {P::local, P::easgd, P::bmuf, P::adaptive}},
                                       {"sync.single_until", {P::local}},
                                       {"sync.momentum", {P::local, P::bmuf, P::adaptive}},
                                       {"sync.alpha", {P::easgd}},
                                       {"sync.block_momentum", {P::bmuf}},
                                       {"sync.block_rate", {P::bmuf}},
                                       {"sync.nesterov", {P::bmuf}},
                                       {"sync.vote_feedback", {P::sign_vote}},
                                       {"sync.rate", {P::asp, P::ssp, P::adaptive}}};
  return keys;
}

void check_owners(Rules& rules) {
  const P policy = rules.job.sync.policy;
  for (const Owned& key : owned_keys()) {
    if (std::find(key.by.begin(), key.by.end(), policy) != key.by.end()) continue;
    std::vector<std::string> names;
    for (const P owner : key.by) names.push_back(policy_name(owner));
    rules.idle(key.key, fmt::format("only {} {} it, and sync.policy is {}", in_words(names),
                                    names.size() == 1 ? "has" : "have", policy_name(policy)));
  }
}

/// What adaptive reads depends on what it adapts.
void check_adaptive(Rules& rules) {
  const Sync& sync = rules.job.sync;
  if (sync.policy != P::adaptive || !rules.sound({"sync.adapt"})) return;
  const bool period = sync.adapt == Adapts::period;
  if (!period) rules.idle("sync.period", "sync.adapt is staleness");
  if (!period) rules.idle("sync.momentum", "sync.adapt is staleness, and no weights are averaged");
  if (period) rules.idle("sync.rate", "sync.adapt is period, and workers exchange weights");
  if (!rules.sound({"sync.low", "sync.high"})) return;
  if (sync.low > sync.high)
    return rules.error({"sync.low", "sync.high"}, "sync.low is {}, above sync.high, which is {}", sync.low, sync.high);
  if (period && sync.high < 1)
    return rules.error({"sync.high", "sync.adapt"},
                       "sync.high is {}, but a period is 1 or more: set sync.high to 1 or more", sync.high);
  if (period && sync.low < 1 && rules.given("sync.low"))
    return rules.error({"sync.low", "sync.adapt"},
                       "sync.low is {}, but a period is 1 or more: set sync.low to 1 or more", sync.low);
  if (period && (sync.period < sync.low || sync.period > sync.high))
    rules.warning({"sync.period", "sync.high", "sync.low"},
                  "sync.period is {}, outside of {} to {}, its bounds sync.low and sync.high: the run starts with {}",
                  sync.period, sync.low, sync.high, std::clamp(sync.period, sync.low, sync.high));
}

void check_counts(Rules& rules) {
  const Sync& sync = rules.job.sync;
  const std::int64_t workers = rules.job.topology.data_ranks();
  if (!rules.sound({"topology.workers", "topology.split.pipeline", "topology.split.tensor"})) return;
  const std::string given = is_split(rules) ? "there are " + sharers(rules)
                                            : fmt::format("topology.workers is {}", rules.job.topology.workers);
  const auto check = [&](P policy, const char* key, std::optional<std::int64_t> count) {
    if (sync.policy == policy && count && *count > workers)
      rules.error({key}, "{} is {}, but {}: set it to {} or less, or auto", key, *count, given, workers);
  };
  check(P::quorum, "sync.quorum", sync.quorum);
  check(P::subset, "sync.size", sync.size);
  const double pull = sync.alpha.value_or(0) * static_cast<double>(workers);
  if (sync.policy == P::easgd && pull > 1)
    rules.warning({"sync.alpha"},
                  "sync.alpha is {}, and {} together pull the centre beyond where they are: 1 / {} = {:.3g} is the "
                  "most, and auto is 0.9 / {}",
                  *sync.alpha, sharers(rules), is_split(rules) ? "replicas" : "workers",
                  1 / static_cast<double>(workers), is_split(rules) ? "replicas" : "workers");
}

void check_compensation(Rules& rules) {
  const Sync& sync = rules.job.sync;
  if (!rules.sound({"sync.compensation"})) return;
  if (sync.compensation != Compensation::none && !applies_each_push(sync) && rules.sound({"sync.adapt"}))
    rules.error(
        {"sync.compensation"},
        "sync.compensation makes up for old gradients, and under {} none is old: set it to none, or sync.policy "
        "to asp or ssp",
        policy_name(sync.policy));
  if (sync.compensation == Compensation::delay) return;
  rules.idle("sync.lambda", "only sync.compensation: delay has it");
  rules.idle("sync.adaptive_lambda", "only sync.compensation: delay has it");
}

/// Keys of codecs that are not the job's.
void check_codec_owners(Rules& rules) {
  const Codec codec = inner_codec(rules.job.sync);
  const auto owned = [&](std::initializer_list<Codec> by, const char* names, std::initializer_list<const char*> keys) {
    if (std::find(by.begin(), by.end(), codec) != by.end()) return;
    for (const char* key : keys) rules.idle(key, fmt::format("only {} it", names));
  };
  owned({Codec::fp16, Codec::bf16, Codec::qsgd, Codec::onebit}, "sync.codec: fp16, bf16, qsgd and onebit have",
        {"sync.feedback"});
  owned({Codec::qsgd}, "sync.codec: qsgd has", {"sync.levels"});
  owned({Codec::topk}, "sync.codec: topk has",
        {"sync.density", "sync.first_density", "sync.density_warmup", "sync.topk_momentum", "sync.masking",
         "sync.topk_clip"});
  if (rules.job.sync.codec != Codec::zstd) rules.idle("sync.zstd_of", "only sync.codec: zstd has it");
}

void check_topk(Rules& rules) {
  const Sync& sync = rules.job.sync;
  if (inner_codec(sync) != Codec::topk || !rules.sound({"sync.topk_momentum"})) return;
  if (sync.topk_momentum == 0) rules.idle("sync.masking", "sync.topk_momentum is 0, and there is no velocity");
  if (sync.density_warmup.value == 0) rules.idle("sync.first_density", "sync.density_warmup is 0");
  if (rules.job.train.optimizer.type != OptimizerType::sgd)
    rules.warning({"train.optimizer.type", "sync.codec"},
                  "topk sends most values late, and an optimizer with a memory makes more of them than of values that "
                  "come at once: set train.optimizer.type to sgd, and sync.topk_momentum for a momentum");
}

/// What was lost comes back in the next step, and is lost again: with few levels more of it each time.
void check_levels(Rules& rules) {
  constexpr std::int64_t least = 23;  // of 512 values, as many whose draws lose less than there is
  const Sync& sync = rules.job.sync;
  if (inner_codec(sync) != Codec::qsgd || !sync.feedback.value_or(false) || sync.levels >= least) return;
  rules.error({"sync.levels", "sync.feedback"},
              "sync.levels is {}, and with sync.feedback what is lost would grow from step to step: set sync.levels to "
              "{} or more, or sync.feedback to false",
              sync.levels, least);
}

void check_codec(Rules& rules) {
  const Sync& sync = rules.job.sync;
  if (!rules.sound({"sync.codec", "sync.zstd_of"})) return;
  check_codec_owners(rules);
  if (sync.codec == Codec::none) return;
  if (exchanges_weights(sync) && rules.sound({"sync.adapt"}))
    return rules.error({"sync.codec"},
                       "sync.codec packs gradients, and under {} workers exchange weights: set it to none, or "
                       "sync.policy to one that sends gradients",
                       policy_name(sync.policy));
  if (is_alone(rules))
    rules.idle("sync.codec", "one process sends nothing");
  else if (is_single(rules))
    rules.idle("sync.codec", "each worker has its own part of the network, and no gradients are sent");
  check_topk(rules);
  check_levels(rules);
}

/// Signs know no size: nothing that depends on it goes with them.
void check_vote(Rules& rules) {
  const Train& train = rules.job.train;
  if (rules.job.sync.policy != P::sign_vote) return;
  if (train.optimizer.type != OptimizerType::sgd)
    rules.error({"train.optimizer.type", "sync.policy"},
                "sign_vote takes the majority's step, which is sgd's: set train.optimizer.type to sgd");
  constexpr double bold = 0.01;
  if (train.optimizer.learning_rate > bold && rules.sound({"train.optimizer.learning_rate"}))
    rules.warning({"train.optimizer.learning_rate", "sync.policy"},
                  "under sign_vote every weight moves by train.optimizer.learning_rate in every step, and {} is much: "
                  "0.001 is a usual start",
                  shortest(train.optimizer.learning_rate));
  if (train.clip_norm > 0)
    rules.error({"train.clip_norm", "sync.policy"}, "signs cannot be clipped: set train.clip_norm to 0");
  if (rules.job.sync.codec != Codec::none)
    rules.error({"sync.codec", "sync.policy"}, "sign_vote sends one bit a weight: set sync.codec to none");
}

/// Pairs meet when they meet: there are no steps in common to tell of, or to save at.
void check_gossip(Rules& rules) {
  if (rules.job.sync.policy != P::gossip) return;
  if (rules.job.output.trace) rules.idle("output.trace", "no trace is kept under gossip");
  if (rules.job.checkpoint.every.unit == Unit::time && rules.job.checkpoint.every.value > 0)
    rules.error({"checkpoint.every", "sync.policy"},
                "checkpoint.every is a time, and under gossip workers save when each has done as many steps: set it to "
                "steps or epochs");
}

/// Policies that one process, or one replica of a network that is split, cannot have.
void check_alone(Rules& rules) {
  const P policy = rules.job.sync.policy;
  if (policy == P::bsp || policy == P::gossip || !is_single(rules)) return;
  if (!rules.sound({"topology.kind", "topology.workers", "topology.external", "topology.servers",
                    "topology.external_servers", "topology.split.pipeline", "topology.split.tensor"}))
    return;
  const std::int64_t cells = rules.job.topology.split.cells();
  if (has_servers(rules.job.topology))
    rules.error({"sync.policy"}, "{} needs {}: set topology.servers to {} or more, or sync.policy to bsp",
                policy_name(policy), cells > 1 ? "servers" : "a server", cells);
  else
    rules.error({"sync.policy"}, "{} needs others: set topology.workers to {} or more, or sync.policy to bsp",
                policy_name(policy), 2 * cells);
}

}  // namespace

void check_sync(Rules& rules) {
  const Sync& sync = rules.job.sync;
  if (!rules.sound({"sync.policy"})) return;
  check_alone(rules);
  check_vote(rules);
  check_owners(rules);
  check_adaptive(rules);
  check_counts(rules);
  check_compensation(rules);
  check_codec(rules);
  check_gossip(rules);
  if (averages(sync) && rules.sound({"train.optimizer.type"}) && !has_moments(rules.job.train.optimizer.type))
    rules.idle("sync.momentum", "sgd has no moments");
}

}  // namespace dtrain::job
