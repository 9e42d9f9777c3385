#pragma once
/// The owner of a range of the weights: folds contributions and applies the update that the policy names, in one pass
/// over memory.
///
/// A published version is immutable: an update reads the current version and writes another block, so that the current
/// one can still be on its way to workers, or be saved, or be returned to. Used by a server for its slice, by a worker
/// that steps by itself (local, easgd, bmuf) for its own copy of the whole vector, and by a run without servers, so
/// that all have the same bits. One thread drives it; `threads` work in it.

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "math/fold.hpp"
#include "math/matrix.hpp"
#include "optim/optimizer.hpp"
#include "plan/plan.hpp"
#include "role/publisher.hpp"
#include "role/row_stepper.hpp"
#include "sync/update.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

/// One state of the range. `in_flight` counts the sends that still read it.
struct Version {
  Arena weights;               ///< what is published
  std::vector<Arena> moments;  ///< of the optimizer, and what the policy's update keeps (sync::extra_arenas)
  std::uint64_t updates = 0;   ///< updates that led here
  Index applied_rows = 0;      ///< rows that led here; of a gated policy: nominal, alike on every server
  /// Packed, piece by piece: what leads here from the version before, for readers that have that. Empty: they are sent
  /// the weights.
  std::vector<std::vector<std::byte>> changes;
  wire::InFlight in_flight;
};

/// What one rank contributes to an update, piece by piece of the slice; where several arenas are exchanged, one after
/// the other.
struct Contribution {
  std::vector<const float*> pieces;
  float factor = 1;
  /// Where only touched rows of the first matrix travel (plan::Piece::by_rows): which, ascending. A piece has those
  /// that lie in it, one behind the other.
  std::span<const std::uint32_t> rows{};
};

/// What a single push's age does to its update (ALGORITHMS.md, section 2, ASP).
struct Age {
  double rate_factor = 1;           ///< of the learning rate
  const Version* pulled = nullptr;  ///< what its weights were, where a delay is compensated
};

class Owner {
 public:
  /// `plan` must outlive the owner. Starts with one zeroed version. `make`: where arenas come from that travel; absent:
  /// the heap. A server's, with the policy's update:
  Owner(const plan::Plan& plan, int slice, int threads, MakeArena make = {});
  /// A worker's own copy of all weights, which only the optimizer steps.
  static Owner of_worker(const plan::Plan& plan, int threads, MakeArena make = {});

  /// Of a worker among equals: all weights, of which it steps its own parts and takes the others' as they come.
  struct Parts {
    int of;  ///< rank
  };
  Owner(const plan::Plan& plan, Parts parts, int threads, MakeArena make = {});

  const plan::Slice& slice() const { return slice_; }
  Version& current() { return *current_; }
  const Version& current() const { return *current_; }
  /// The one before the last update: whole until the next one begins.
  Version& previous() { return *previous_; }

  /// Arenas as they are saved and loaded: 0 is the model, and then what is kept beside it. Of block momentum, and where
  /// packed changes lose something, the model is not what is published.
  std::size_t arenas() const { return 1 + current_->moments.size(); }
  Arena& stored(std::size_t arena) { return stored(*current_, arena); }
  Arena& stored(Version& version, std::size_t arena) const;

  /// From now on `rank` works with the current version: it stays until the rank gets another. Only where a delay is
  /// compensated.
  void hold(int rank);
  const Version* held(int rank) const;

  /// What a push of `rank` is worth that is `staleness` updates old, and one of so many rows: nothing special unless
  /// pushes are applied one by one and the job says so (sync.compensation, sync.rate).
  Age age(int rank, std::uint64_t staleness) const;
  float rate_share(std::uint64_t rows) const;

  /// Sums of squares of the folded gradient, per block of the slice in order: for clipping by the global norm.
  std::vector<double> squares(std::span<const Contribution> contributions) const;

  /// Folds the contributions (in the order given) and takes one optimizer step; `factor` multiplies the gradient first.
  /// Without contributions (a step that nobody had rows for) the weights stay as they are, and no change leads to them.
  /// Returns the first weight whose gradient is not finite (nothing is published then), or nullopt.
  std::optional<Index> step(std::span<const Contribution> contributions, float factor, Index applied_rows_after,
                            const Age& age = {});

  /// The same with the gradient clipped by its norm (train.clip_norm): of an owner of all weights or, where the network
  /// is split, of all of a cell's; then `whole` makes the norm's square over all cells of the one over this.
  std::optional<Index> step_clipped(std::span<const Contribution> contributions, Index applied_rows_after,
                                    const std::function<double(double)>& whole = {});

  /// The same step in parts, a layer when its gradient is final and still in the cache: open(), step_layer() for every
  /// layer in any order, close(). The current version stays as it is until close(), and for good if a gradient is not
  /// finite.
  void open(float factor, Index applied_rows_after, const Age& age = {});
  void step_layer(std::span<const Contribution> contributions, int layer);
  /// Or a piece at a time, of an arena that is exchanged (0: the weights): `shares` begin where the piece does; without
  /// any it stays as it was. Other pieces may be written into next() as others have made them. Where changes are
  /// packed, next().changes has that of the piece, by its place in slice(); none if it stays.
  void step_piece(Index offset, std::size_t arena, std::span<const Share> shares);
  Version& next() { return *next_; }
  /// The first weight whose gradient was not finite in the open step.
  std::optional<Index> not_finite() const;
  /// Of the open step: what its gradient is multiplied by, when that is known only now.
  void rescale(float factor) { input_.gradient_factor = factor; }
  /// The same as squares() of one piece.
  void add_squares(Index offset, std::span<const Share> shares, std::vector<double>& sums);
  std::optional<Index> close();

  /// The mean of the weights and these, piece by piece, takes their place; what is on its way stays as it is.
  void average_with(std::span<const plan::Piece> pieces, const std::vector<const float*>& theirs);

  /// Where only touched rows are stepped (plan::Sparse::rows), that is done in place, unless somebody still reads the
  /// version; and these rows, or all of them, are as they should be only from here to the next step.
  void catch_up(std::span<const std::uint32_t> rows) { rows_->catch_up(*current_, rows); }
  void catch_up();

  /// A version that another owner of the range has made: a place for its arenas, as they lie in a Version (not as
  /// stored()), and then it is the current one.
  Version& receive() { return free_version(); }
  void adopt(Version& received, std::uint64_t updates, Index applied_rows);
  /// Under easgd, where a version is the answer to one push: the one before the last update is that to `rank` (the
  /// current one if its push made no update), until it is fetched. Then, and under other policies: the current one.
  void keep_answer(int rank, bool updated);
  Version& take_answer(int rank);

  /// Returns to the version before the last step. Once only, and only if nothing was stepped since.
  void undo();

 private:
  struct Segment {
    Index begin, end;  ///< in the flat vector, within one block and one piece
    std::size_t piece;
    bool decays;
    int layer;
  };
  Owner(const plan::Plan& plan, plan::Slice slice, sync::Update update, int moments, int threads, MakeArena make,
        bool by_pieces = false);
  bool apart() const { return stepped_ >= 0 || std::holds_alternative<sync::Block>(update_); }
  std::optional<Index> publish();
  static plan::Slice all_parts(const plan::Plan& plan);
  void start_publishing(plan::Slice published, int owner);
  void publish_piece(std::size_t piece);
  Publisher::Arenas changing() const;
  codec::Turn change_turn() const;
  void step_segments(std::span<const Contribution> contributions, std::size_t first, std::size_t last);
  Version& free_version();
  Version& next_version();
  bool in_use(const Version& version) const;
  bool step_segment(const Segment& segment, std::span<const Contribution> contributions);
  void apply(const sync::OptimizerStep&, const Segment& segment, std::span<const float> gradient);
  void apply(const sync::Vote&, const Segment& segment, std::span<const float> sums);
  void apply(const sync::Average&, const Segment& segment, std::span<const float> average);
  void apply(const sync::Elastic& rule, const Segment& segment, std::span<const float> pushed);
  void apply(const sync::Block& rule, const Segment& segment, std::span<const float> average);
  std::span<const float> compensated(const Segment& segment, std::span<const float> gradient, std::span<float> scratch);
  void average_moments(const Segment& segment, std::span<const Contribution> contributions);
  void average_moment(const Segment& segment, std::span<const Contribution> contributions, std::size_t arena);
  std::size_t piece_at(Index offset) const;
  std::span<const Segment> segments_of(std::size_t piece) const;
  std::span<const Contribution> contributions_of(std::size_t place, std::span<const Share> shares);
  void keep_piece(const plan::Piece& piece, std::size_t arena);
  std::span<const float> folded(const Segment& segment, std::span<const Contribution> contributions,
                                std::span<float> scratch, std::size_t arena = 0) const;
  std::span<const float> before(const Segment& segment, int moment = -1) const;
  std::span<float> after(const Segment& segment, int moment = -1);

  const plan::Plan& plan_;
  plan::Slice slice_;
  sync::Update update_;
  int threads_;
  MakeArena make_;
  int moments_;          ///< arenas beside the weights
  bool keeps_previous_;  ///< a loss may ask for undo()
  bool checks_finite_;
  bool by_pieces_;                        ///< of a peer
  std::unique_ptr<RowStepper> rows_;      ///< of the first matrix, where only touched ones are stepped
  std::unique_ptr<Publisher> publisher_;  ///< where changes are packed
  plan::Slice published_;                 ///< of a peer: its own parts; otherwise the slice
  int stepped_ = -1;                      ///< the moment that the optimizer steps, the last; -1: the weights
  Arena votes_;                           ///< the majority's signs in the open step, where those are published
  std::vector<Segment> segments_;
  std::list<Version> versions_;  ///< stable addresses: sends refer to them
  Version* current_ = nullptr;
  Version* previous_ = nullptr;
  std::vector<const Version*> held_;         ///< per rank, where a delay is compensated; nullptr: none
  std::vector<Version*> answers_;            ///< per rank, of a standby under easgd
  std::vector<std::size_t> layer_segments_;  ///< first segment of each layer, and the end
  Version* next_ = nullptr;                  ///< being written between open() and close()
  std::vector<Contribution> one_piece_;      ///< what a piece is stepped with: made anew for each
  optim::StepInput input_;
  Age age_;
  std::atomic<Index> not_finite_{0};  ///< the first such weight of the open step; slice end: none
};

}  // namespace dtrain::role
