/// Rules on one network over several workers.

#include <string>

#include "job/catalogue.hpp"
#include "job/check.hpp"
#include "job/resolve.hpp"

namespace dtrain::job {
namespace {

/// "4 or 8": the multiples around a number that is none.
std::string multiples_around(std::int64_t number, std::int64_t of) {
  const std::int64_t below = number / of * of;
  return below > 0 ? fmt::format("{} or {}", below, below + of) : fmt::format("{}", of);
}

void check_numbers(Rules& rules) {
  const Topology& topology = rules.job.topology;
  const Split& split = topology.split;
  const std::string grid = fmt::format("pipeline {} x tensor {}", split.pipeline, split.tensor);
  if (topology.workers % split.cells() != 0)
    rules.error({"topology.workers", "topology.split.pipeline", "topology.split.tensor"},
                "topology.workers is {}, but one network takes {} of them ({}): set topology.workers to {}",
                topology.workers, split.cells(), grid, multiples_around(topology.workers, split.cells()));
  const std::int64_t servers = topology.servers.value_or(0);
  if (has_servers(topology) && servers % split.cells() != 0)
    rules.error({"topology.servers", "topology.split.pipeline", "topology.split.tensor"},
                "topology.servers is {}, but each of {} parts of the network ({}) has servers of its own: set "
                "topology.servers to {}, or auto",
                servers, split.cells(), grid, multiples_around(servers, split.cells()));
}

void check_stages(Rules& rules) {
  const std::vector<Layer>& layers = rules.job.model.layers;
  const std::int64_t stages = rules.job.topology.split.pipeline;
  if (!rules.sound({"model.layers", "topology.split.pipeline"}) || layers.empty()) return;
  if (stages > std::ssize(layers))
    return rules.error({"topology.split.pipeline"},
                       "topology.split.pipeline is {}, but the network has only {} layer{}: set it to {} or less",
                       stages, layers.size(), layers.size() == 1 ? "" : "s", layers.size());
  std::int64_t last = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::string path = fmt::format("model.layers[{}].stage", l);
    const std::optional<std::int64_t> stage = layers[l].stage;
    if (!rules.sound({path})) return;
    if (stage.has_value() != layers.front().stage.has_value())
      return rules.error({path, fmt::format("model.layers[{}].stage", 0)},
                         "layer {} names {} stage, and layer 0 does{}: let all layers name one, or none", l,
                         stage ? "a" : "no", stage ? " not" : "");
    if (!stage) continue;
    if (*stage > stages)
      return rules.error({path, "topology.split.pipeline"},
                         "{} is {}, but topology.split.pipeline is {}: set it to {} or less", path, *stage, stages,
                         stages);
    if (*stage != last && *stage != last + 1)
      return rules.error({path}, "{} is {} after {}: stages count from 1, and each follows the one before", path,
                         *stage, last);
    last = *stage;
  }
  if (last > 0 && last < stages)
    rules.error({fmt::format("model.layers[{}].stage", layers.size() - 1), "topology.split.pipeline"},
                "the layers name {} stage{}, but topology.split.pipeline is {}: set it to {}", last,
                last == 1 ? "" : "s", stages, last);
}

void check_cuts(Rules& rules) {
  const std::vector<Layer>& layers = rules.job.model.layers;
  const std::int64_t ranks = rules.job.topology.split.tensor;
  if (!rules.sound({"model.layers", "topology.split.tensor"})) return;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::string path = fmt::format("model.layers[{}].split", l);
    const auto narrow = [&](std::int64_t width, const char* what) {
      if (width < ranks)
        rules.error({path},
                    "{} is {}, but the layer has only {} {}s for {} tensor ranks: set it to auto, or "
                    "topology.split.tensor to {} or less",
                    path, what, width, what, ranks, width);
    };
    if (!rules.sound({path, fmt::format("model.layers[{}].dense", l)})) continue;
    if (layers[l].split == LayerSplit::output) narrow(layers[l].dense, "output");
    // Of the first layer they are the features, which only the data tell.
    if (l > 0 && layers[l].split == LayerSplit::input) narrow(layers[l - 1].dense, "input");
  }
}

/// What belongs to an axis that the job does not have.
void check_idle(Rules& rules) {
  const Split& split = rules.job.topology.split;
  if (split.pipeline == 1) rules.idle("topology.split.schedule", "topology.split.pipeline is 1");
  for (std::size_t l = 0; l < rules.job.model.layers.size(); ++l) {
    if (split.pipeline == 1) rules.idle(fmt::format("model.layers[{}].stage", l), "topology.split.pipeline is 1");
    if (split.tensor == 1) rules.idle(fmt::format("model.layers[{}].split", l), "topology.split.tensor is 1");
  }
}

/// Policies under which the parts of a network would not learn from the same rows, or not meet.
void check_policy(Rules& rules) {
  const PolicyName policy = rules.job.sync.policy;
  const char* reason = policy == PolicyName::quorum     ? "each part could have the gradients of other workers"
                       : policy == PolicyName::adaptive ? "each part would set a number of its own while running"
                       : policy == PolicyName::gossip   ? "each part could meet another partner"
                                                        : nullptr;
  if (reason != nullptr)
    rules.error({"sync.policy", "topology.split"},
                "under {} a network may not be split, since {} at the same step: set sync.policy to bsp, or "
                "topology.split to pipeline 1 and tensor 1",
                policy_name(policy), reason);
}

/// What needs the whole network in one place, or workers that may be missed.
void check_company(Rules& rules) {
  const Job& job = rules.job;
  if (job.faults.on_worker_loss == OnWorkerLoss::keep_going)
    rules.error({"faults.on_worker_loss", "topology.split"},
                "a network that is split needs all its workers: set faults.on_worker_loss to stop");
  if (job.checkpoint.every.unit == Unit::time && job.checkpoint.every.value > 0)
    rules.error({"checkpoint.every", "topology.split"},
                "checkpoint.every is a time, and the parts of a network that is split would save different steps: set "
                "it to steps or epochs");
  if (job.train.sparse == SparseUpdates::lazy)
    rules.error({"train.sparse", "topology.split"},
                "where the network is split every weight is stepped, so that none can be lazy: set train.sparse to "
                "exact or off");
  if (job.data.sharing == Sharing::peer)
    rules.error({"data.sharing", "topology.split"},
                "under data.sharing: peer each worker holds other rows, and the parts of a network that is split need "
                "the same: set it to replicate, shard, central, shared_files or staged");
}

}  // namespace

bool is_split(const Rules& rules) {
  return rules.sound({"topology.split.pipeline", "topology.split.tensor"}) && rules.job.topology.split.cells() > 1;
}

std::string sharers(const Rules& rules) {
  const std::int64_t ranks = rules.job.topology.data_ranks();
  const char* one = rules.job.topology.split.cells() > 1 ? "replica" : "worker";
  return fmt::format("{} {}{}", ranks, one, ranks == 1 ? "" : "s");
}

void check_split(Rules& rules) {
  check_idle(rules);
  if (!is_split(rules)) return;
  check_numbers(rules);
  check_stages(rules);
  check_cuts(rules);
  check_policy(rules);
  check_company(rules);
}

}  // namespace dtrain::job
