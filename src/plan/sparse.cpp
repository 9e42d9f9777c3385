#include "plan/sparse.hpp"

#include <cmath>

#include <fmt/format.h>

#include "base/text.hpp"
#include "job/places.hpp"
#include "sync/policy.hpp"

namespace dtrain::plan {
namespace {

// Above this share of non-zeros a dense product is faster (tests/bench/sparse.cpp).
constexpr double most_dense = 1.0 / 16;

double density(const Plan& plan) {
  return double(plan.facts.nonzeros) / (double(plan.facts.train_rows) * double(plan.width));
}

bool pushes_gradients(job::PolicyName policy) {
  return policy == job::PolicyName::bsp || policy == job::PolicyName::asp || policy == job::PolicyName::ssp;
}

/// What only concerns weights that travel.
std::string exchange_reason(const Plan& plan) {
  const job::Job& job = plan.job;
  if (job.sync.codec != job::Codec::none) return "since sync.codec packs whole pieces";
  if (job.sync.policy == job::PolicyName::ssp && job.sync.eager) return "since sync.eager sends weights unasked";
  if (job.sync.compensation == job::Compensation::delay) return "since sync.compensation: delay looks at old weights";
  if (job.faults.replicas > 0) return "since faults.replicas keeps whole slices";
  if (plan.may_change())
    return fmt::format("since {} may give workers other rows than they asked for",
                       job::grows(job.topology)                                  ? "topology.max_workers"
                       : job.faults.on_worker_loss == job::OnWorkerLoss::restart ? "faults.on_worker_loss: restart"
                                                                                 : "faults.on_worker_loss: continue");
  if (job.data.sharing != job::Sharing::replicate && job.data.sharing != job::Sharing::shard)
    return "since rows come to workers from elsewhere";
  return "";
}

/// Sparse products are made with all features of the weights that a rank has.
bool reads_all_features(const model::Cell& cell) {
  return cell.first() && (cell.cuts.empty() || cell.cuts.front().by_output);
}

}  // namespace

std::string dense_exchange_reason(const Plan& plan) {
  if (plan.grid.split() || !plan.cell.whole()) return "since the network is split";
  if (plan.peers()) return "since workers exchange among themselves";
  if (!pushes_gradients(plan.job.sync.policy)) return fmt::format("under sync.policy: {}", sync::spec(plan.job.sync));
  return plan.servers > 0 ? exchange_reason(plan) : "";
}

Sparse decide_sparse(const Plan& plan) {
  const bool any = plan.job.train.sparse != job::SparseUpdates::off && plan.facts.nonzeros > 0;
  if (!any || density(plan) > most_dense || !reads_all_features(plan.cell)) return Sparse::none;
  return dense_exchange_reason(plan).empty() ? Sparse::rows : Sparse::input;
}

double touched_rows(const Plan& plan) {
  const double rows = double(plan.job.train.batch) / double(plan.workers);
  return double(plan.width) * (1 - std::pow(1 - density(plan), rows));
}

Index rest_weights(const Plan& plan) { return plan.layout.total - plan.layout.tensors.front().count(); }

double touched_bytes(const Plan& plan) {
  return 4 * (touched_rows(plan) * double(plan.layout.tensors.front().cols) + double(rest_weights(plan)));
}

std::string sparse_words(const Plan& plan) {
  std::string words = fmt::format("{:.3g} of {} features a row are not zero; ", density(plan) * double(plan.width),
                                  with_commas(plan.width));
  if (plan.sparse == Sparse::none)
    return words + (plan.job.train.sparse == job::SparseUpdates::off ? "treated as dense: train.sparse is off"
                                                                     : "treated as dense, which is faster");
  const std::string rows =
      fmt::format("about {} rows of the first weights", with_commas(std::llround(touched_rows(plan))));
  if (plan.sparse == Sparse::input)
    return words + fmt::format("a step computes with {}, but steps{} all of them {}", rows,
                               plan.owners() > 1 || plan.servers > 0 ? " and exchanges" : "",
                               dense_exchange_reason(plan));
  words += fmt::format("a step reads, steps{} {} at most", plan.servers > 0 ? " and exchanges" : "", rows);
  return words + (plan.job.train.sparse == job::SparseUpdates::lazy ? "; the others stay as they are" : "");
}

}  // namespace dtrain::plan
