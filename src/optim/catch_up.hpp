#pragma once
/// Weights that no gradient came for in some steps, brought to where those steps would have led them.
///
/// A step without a gradient leaves weights as they are under plain sgd and adagrad; elsewhere moments go on pushing
/// them and wear off, and decay shrinks them. It is enough to do that when the weights are next read: the steps are
/// done again with a gradient of zero, and with the bits of the same steps done one by one, however they are divided.
/// Once the moments are too small to move any of the weights only the moments go on, and not even those once they are
/// zero or as small as they get. Any thread may apply(); one notes.

#include <cstddef>
#include <span>
#include <vector>

#include "optim/optimizer.hpp"

namespace dtrain::optim {

class CatchUp {
 public:
  /// `decay`: weight decay applies to these weights.
  CatchUp(const job::Optimizer& optimizer, bool decay);

  /// Whether a step without a gradient changes anything.
  bool needed() const { return needed_; }
  /// A step was done.
  void note(const StepInput& input);
  /// Steps noted since forget().
  std::size_t steps() const { return steps_.size(); }
  /// Does all steps but the first `done` of those noted. All spans are equally long, state[k] for k < state_count().
  void apply(std::size_t done, std::span<float> weights, const std::span<float>* state) const;
  /// All weights are up to date.
  void forget();

 private:
  job::Optimizer optimizer_;
  bool decay_, needed_;
  bool settles_;     ///< moments wear off in the end faster than whatever they are divided by
  float reach_ = 0;  ///< the most that a step multiplies them by on their way to the weights
  std::vector<Coefficients> steps_;
};

}  // namespace dtrain::optim
