#pragma once
/// What a cell of a split network (model/cell.hpp) has from the others and gives to them, in the course of one step.
///
/// The network calls these from the one thread that drives it; whoever implements them waits there as long as it takes.
/// What is given is copied before the call returns. Whatever returns nullopt abandons the step.

#include <optional>
#include <span>

#include "math/matrix.hpp"

namespace dtrain::model {

template <class Real>
class Neighbours {
 public:
  virtual ~Neighbours() = default;

  /// The outputs of the stage below for a micro-batch, [rows, cols]; they stay until done(micro).
  virtual std::optional<View<const Real>> take_inputs(int micro, Index rows, Index cols) = 0;
  virtual void give_outputs(int micro, View<const Real> outputs) = 0;
  /// The gradient by our outputs, from the stage above, [rows, cols]; it stays until the next call.
  virtual std::optional<View<const Real>> take_output_gradient(int micro, Index rows, Index cols) = 0;
  virtual void give_input_gradient(int micro, View<const Real> delta) = 0;
  /// Backward is done with a micro-batch: its inputs are not needed any more. Not in the first stage.
  virtual void done(int micro) = 0;

  /// Within the tensor group: every rank has a block [rows, cols[rank]] of the same rows. Ours goes to all others; all
  /// of them come back, by rank, and stay until the next call. Whose cols are 0 sends nothing and gets all the same.
  virtual std::optional<std::span<const View<const Real>>> exchange(View<const Real> own,
                                                                    std::span<const Index> cols) = 0;
};

}  // namespace dtrain::model
