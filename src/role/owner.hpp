#pragma once
/// The owner of a range of the weights: folds contributions and steps the optimizer, in one pass over memory.
///
/// A published version is immutable: an update reads the current version and writes another block, so that the current
/// one can still be on its way to workers, or be saved, or be returned to. Used by a server for its slice and by a
/// run without servers for the whole vector, so that both have the same bits. One thread drives it; `threads` work in
/// it.

#include <atomic>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "math/fold.hpp"
#include "math/matrix.hpp"
#include "optim/optimizer.hpp"
#include "plan/plan.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

/// One state of the range. `in_flight` counts the sends that still read it.
struct Version {
  Arena weights;
  std::vector<Arena> moments;
  std::uint64_t updates = 0;  ///< optimizer steps that led here
  Index applied_rows = 0;     ///< rows that led here; of a gated policy: nominal, alike on every server
  wire::InFlight in_flight;
};

/// What one rank contributes to an update, piece by piece of the slice.
struct Contribution {
  std::vector<const float*> pieces;
  float factor = 1;
};

class Owner {
 public:
  /// `plan` must outlive the owner. Starts with one zeroed version.
  Owner(const plan::Plan& plan, int slice, int threads);

  const plan::Slice& slice() const { return slice_; }
  Version& current() { return *current_; }

  /// Sums of squares of the folded gradient, per block of the slice in order: for clipping by the global norm.
  std::vector<double> squares(std::span<const Contribution> contributions) const;

  /// Folds the contributions (in the order given) and takes one optimizer step; `factor` multiplies the gradient first.
  /// Without contributions (a step that nobody had rows for) the weights stay as they are.
  /// Returns the first weight whose gradient is not finite (nothing is published then), or nullopt.
  std::optional<Index> step(std::span<const Contribution> contributions, float factor, Index applied_rows_after);

  /// The same step in parts, a layer when its gradient is final and still in the cache: open(), step_layer() for every
  /// layer in any order, close(). The current version stays as it is until close(), and for good if a gradient is not
  /// finite.
  void open(float factor, Index applied_rows_after);
  void step_layer(std::span<const Contribution> contributions, int layer);
  std::optional<Index> close();

  /// Returns to the version before the last step. Once only, and only if nothing was stepped since.
  void undo();

 private:
  struct Segment {
    Index begin, end;  ///< in the flat vector, within one block and one piece
    std::size_t piece;
    bool decays;
    int layer;
  };
  void step_segments(std::span<const Contribution> contributions, std::size_t first, std::size_t last);
  Version& free_version();
  bool step_segment(const Segment& segment, std::span<const Contribution> contributions, const optim::StepInput& input,
                    const Version& from, Version& to) const;
  std::span<const float> gradient_of(const Segment& segment, std::span<const Contribution> contributions,
                                     std::span<float> scratch) const;

  const plan::Plan& plan_;
  const plan::Slice& slice_;
  int threads_;
  int moments_;
  bool keeps_previous_;  ///< a loss may ask for undo()
  bool checks_finite_;
  std::vector<Segment> segments_;
  std::list<Version> versions_;  ///< stable addresses: sends refer to them
  Version* current_ = nullptr;
  Version* previous_ = nullptr;
  std::vector<std::size_t> layer_segments_;  ///< first segment of each layer, and the end
  Version* next_ = nullptr;                  ///< being written between open() and close()
  optim::StepInput input_;
  std::atomic<Index> not_finite_{0};  ///< the first such weight of the open step; slice end: none
};

}  // namespace dtrain::role
