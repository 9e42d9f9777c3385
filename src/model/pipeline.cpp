#include "model/pipeline.hpp"

#include <algorithm>
#include <cassert>

namespace dtrain::model {

PipelineOrder::PipelineOrder(job::PipelineSchedule schedule, int stage, int stages, int micro_batches)
    : micro_batches_(micro_batches) {
  assert(micro_batches >= 1 && stage >= 0 && stage < stages);
  const bool all_first = schedule == job::PipelineSchedule::gpipe && stages > 1;
  ahead_ = std::min(micro_batches, all_first ? micro_batches : stages - 1 - stage);
}

Action PipelineOrder::at(int k) const {
  assert(k >= 0 && k < actions());
  const int alternating = 2 * (micro_batches_ - ahead_), later = k - ahead_;
  if (later < 0) return {true, k};
  if (later >= alternating) return {false, later - (micro_batches_ - ahead_)};
  return later % 2 == 0 ? Action{true, ahead_ + later / 2} : Action{false, later / 2};
}

int PipelineOrder::in_flight() const { return std::min(micro_batches_, ahead_ + 1); }

}  // namespace dtrain::model
