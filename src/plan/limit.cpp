#include "plan/limit.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::plan {
namespace {

/// What a worker of the same run needs with its network in so many stages; nothing if a tensor group cannot have one.
std::optional<double> needed_with(const Plan& plan, job::Job job, std::int64_t stages) {
  for (job::Layer& layer : job.model.layers) layer.stage.reset();
  job.topology.split.pipeline = stages;
  job.topology.workers = plan.grid.data * job.topology.split.cells();
  job.topology.max_workers.reset();
  job.topology.external = job.topology.external_servers = 0;
  job.topology.servers.reset();
  job.topology.hosts.clear();
  job.topology.memory = 0;
  try {
    return double(worker_memory(make_plan(job, plan.host, plan.facts, plan.width)).total());
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// "{pipeline: 2} would need 310 MiB a worker", or why nothing of the kind helps.
std::string remedy(const Plan& plan, const job::Job& job) {
  const auto layers = std::ssize(job.model.layers);
  double least = double(worker_memory(plan).total());
  for (std::int64_t stages = job.topology.split.pipeline + 1; stages <= layers; ++stages) {
    const std::optional<double> needed = needed_with(plan, job, stages);
    if (!needed) continue;
    const std::string tensor = plan.grid.tensor > 1 ? fmt::format(", tensor: {}", plan.grid.tensor) : "";
    if (*needed <= job.topology.memory)
      return fmt::format("topology.split: {{pipeline: {}{}}} would need {} a worker", stages, tensor,
                         binary_bytes(*needed));
    least = std::min(least, *needed);
  }
  return fmt::format("no number of stages needs less than {}; a larger topology.split.tensor may", binary_bytes(least));
}

}  // namespace

void check_memory(const Plan& plan, const job::Job& job) {
  const double limit = job.topology.memory, needed = double(worker_memory(plan).total());
  if (limit <= 0 || needed <= limit) return;
  fail(Kind::job, "a worker needs {} of memory, and topology.memory is {}: {}", binary_bytes(needed),
       binary_bytes(limit), remedy(plan, job));
}

}  // namespace dtrain::plan
