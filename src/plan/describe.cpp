/// The plan as numbers for programs and as a table for people.

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "data/division.hpp"
#include "model/network.hpp"
#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"
#include "plan/plan.hpp"

namespace dtrain::plan {
namespace {

std::vector<Index> first_step_counts(const Plan& plan) {
  std::vector<int> everyone;
  for (int rank = 0; rank < plan.workers; ++rank) everyone.push_back(rank);
  data::Division division(plan.job, plan.facts.train_rows, everyone);
  std::vector<Index> counts;
  for (int rank : everyone) counts.push_back(division.count(0, rank));
  return counts;
}

std::string layer_words(const model::Layout& layout, const Slice& slice) {
  std::string words;
  for (const model::Tensor& tensor : layout.tensors) {
    const Index from = std::max(tensor.offset, slice.begin), to = std::min(tensor.offset + tensor.count(), slice.end);
    if (from >= to) continue;
    if (!words.empty()) words += ", ";
    words += to - from == tensor.count()
                 ? tensor.name
                 : fmt::format("{} of {}", tensor.name,
                               fmt::format("{:.0f} %", 100.0 * double(to - from) / double(tensor.count())));
  }
  return words;
}

std::string policy_name(const job::Job& job) { return job.sync.policy == job::PolicyName::bsp ? "bsp" : "asp"; }

std::string render_rates(const Plan& plan) {
  const double rate = plan.job.train.optimizer.learning_rate;
  const double per_row = rate / double(plan.job.train.batch);
  if (plan.job.sync.policy == job::PolicyName::bsp || plan.job.sync.rate == job::Rate::share)
    return fmt::format("learning rate {} per step, {:.3g} per row", shortest(rate), per_row);
  return fmt::format("learning rate {} per push, {:.3g} per row (bsp would have {:.3g}; sync.rate: share scales it so)",
                     shortest(rate), per_row * plan.workers, per_row);
}

}  // namespace

double Plan::flops_per_row() const {
  double flops = 0;
  for (const model::Tensor& tensor : layout.tensors)
    if (!tensor.is_bias) flops += (tensor.layer == 0 ? 4.0 : 6.0) * double(tensor.count());
  return flops;
}

int Plan::moments() const { return optim::state_count(job.train.optimizer.type); }

double learning_rate(const Plan& plan, Index applied_rows) {
  return optim::learning_rate(plan.job.train.schedule, plan.job.train.optimizer.learning_rate,
                              {applied_rows, plan.facts.train_rows, plan.job.train.batch, plan.total_rows});
}

Memory server_memory(const Plan& plan, int rank) {
  const Slice& slice = plan.slices[static_cast<std::size_t>(rank)];
  const auto bytes = static_cast<std::size_t>(4 * (slice.end - slice.begin));
  const auto arenas = static_cast<std::size_t>(1 + plan.moments());
  const std::size_t versions = plan.undo_possible() ? 3 : 2;
  return {bytes * arenas * versions, bytes * static_cast<std::size_t>(plan.workers) * (plan.undo_possible() ? 2 : 1)};
}

Memory worker_memory(const Plan& plan) {
  const auto bytes = static_cast<std::size_t>(plan.step_bytes());
  const Index rows = plan.worker_rows();
  const model::Network<float> network(plan.job.model, plan.width, rows, 1);
  return {2 * bytes, network.bytes() + static_cast<std::size_t>(4 * rows * (plan.width + 1))};
}

Json to_json(const Plan& plan) {
  Json out;
  out["weights"] = plan.layout.total;
  out["workers"] = plan.workers;
  out["servers"] = plan.servers;
  out["threads"] = plan.threads;
  out["policy"] = policy_name(plan.job);
  out["train_rows"] = plan.facts.train_rows;
  out["test_rows"] = plan.facts.test_rows;
  out["width"] = plan.width;
  out["data_hash"] = plan.facts.hash;
  out["steps_per_epoch"] = plan.steps_per_epoch;
  out["steps"] = plan.total_steps;
  out["rows"] = plan.total_rows;
  out["flops_per_row"] = plan.flops_per_row();
  out["bytes_per_worker_step"] = plan.servers == 0 ? 0 : 2 * plan.step_bytes();
  out["roles"] = Json::array();
  for (int m = 0; m < plan.servers; ++m) {
    const Slice& slice = plan.slices[static_cast<std::size_t>(m)];
    Json pieces = Json::array();
    for (const Piece& piece : slice.pieces) pieces.push_back({{"offset", piece.offset}, {"count", piece.count}});
    out["roles"].push_back({{"role", "server"},
                            {"rank", m},
                            {"begin", slice.begin},
                            {"end", slice.end},
                            {"pieces", pieces},
                            {"memory_bytes", server_memory(plan, m).total()}});
  }
  const std::vector<Index> counts = first_step_counts(plan);
  for (int rank = 0; rank < plan.workers; ++rank)
    out["roles"].push_back({{"role", "worker"},
                            {"rank", rank},
                            {"batch_rows", counts[static_cast<std::size_t>(rank)]},
                            {"external", rank >= plan.workers - plan.job.topology.external},
                            {"memory_bytes", worker_memory(plan).total()}});
  out["warnings"] = plan.warnings;
  return out;
}

std::string render(const Plan& plan) {
  std::string out;
  const auto line = [&out](std::string_view name, const std::string& text) {
    out += fmt::format("{:<10} {}\n", name, text);
  };
  std::string shape = std::to_string(plan.width);
  for (const job::Layer& layer : plan.job.model.layers) shape += fmt::format("-{}", layer.dense);
  line("model", fmt::format("{}: {} weights, {}, {:.3g} MFLOP a row", shape, with_commas(plan.layout.total),
                            human_bytes(double(plan.step_bytes())), plan.flops_per_row() / 1e6));
  line("data", fmt::format("{} training rows, {} test rows, {} features", with_commas(plan.facts.train_rows),
                           with_commas(plan.facts.test_rows), with_commas(plan.width)));
  line("steps", fmt::format("{} an epoch, {} in all, {} rows each", with_commas(plan.steps_per_epoch),
                            with_commas(plan.total_steps), with_commas(plan.job.train.batch)));
  line("sync", fmt::format("{}; {}", policy_name(plan.job), render_rates(plan)));
  line("host", fmt::format("{}: {} cores, {} of memory; {} thread{} a role", plan.host.name, plan.host.cores,
                           human_bytes(double(plan.host.memory)), plan.threads, plan.threads == 1 ? "" : "s"));
  if (plan.servers > 0)
    line("wire",
         fmt::format("{} a worker and step, half of it each way", human_bytes(2.0 * double(plan.step_bytes()))));
  out += "\n";
  for (int m = 0; m < plan.servers; ++m) {
    const Slice& slice = plan.slices[static_cast<std::size_t>(m)];
    line(fmt::format("server {}", m),
         fmt::format("weights {}..{} ({}) in {} piece{}: {}; {} of memory", slice.begin, slice.end,
                     human_bytes(4.0 * double(slice.end - slice.begin)), slice.pieces.size(),
                     slice.pieces.size() == 1 ? "" : "s", layer_words(plan.layout, slice),
                     human_bytes(double(server_memory(plan, m).total()))));
  }
  const std::vector<Index> counts = first_step_counts(plan);
  for (int rank = 0; rank < plan.workers; ++rank)
    line(fmt::format("worker {}", rank),
         fmt::format("{} rows a step{}; {} of memory beside the data", counts[static_cast<std::size_t>(rank)],
                     rank >= plan.workers - plan.job.topology.external ? ", joins from outside" : "",
                     human_bytes(double(worker_memory(plan).total()))));
  for (const std::string& warning : plan.warnings) out += "warning: " + warning + "\n";
  return out;
}

}  // namespace dtrain::plan
