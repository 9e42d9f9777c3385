#pragma once
/// In which order a pipeline's stage computes the micro-batches of a step.
///
/// gpipe (Huang 2019): all forward, then all backward. 1F1B (Narayanan 2019): as many forward as it takes until the
/// first gradient can be there, then one forward and one backward in turn, so that a stage never keeps more than
/// stages - stage of them. A stage alone does one after another. Backward is always in order 0, 1, 2, ..., so that
/// gradients are folded alike under every schedule. Pure; any thread.

#include "job/job.hpp"

namespace dtrain::model {

/// One micro-batch forward or backward through the layers of a stage.
struct Action {
  bool forward = true;
  int micro = 0;
  bool operator==(const Action&) const = default;
};

class PipelineOrder {
 public:
  PipelineOrder(job::PipelineSchedule schedule, int stage, int stages, int micro_batches);

  int actions() const { return 2 * micro_batches_; }
  /// The k-th of them.
  Action at(int k) const;
  /// The most micro-batches that are forward and not yet backward.
  int in_flight() const;

 private:
  int micro_batches_;
  int ahead_;  ///< forwards before those that each have a backward behind them
};

}  // namespace dtrain::model
