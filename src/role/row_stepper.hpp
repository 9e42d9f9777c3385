#pragma once
/// Steps the rows of the first weight matrix that contributions touch, in place, and leaves the others alone.
///
/// What steps without a gradient would have done to a row is made up for when the row is next read, stepped or saved
/// (train.sparse: exact; optim/catch_up.hpp), so that rows have the bits of an owner that steps all of them every time.
/// Under `lazy` nothing is made up for. Used by an Owner for its slice; one thread drives it, `threads` work in it.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "math/sparse.hpp"
#include "optim/catch_up.hpp"
#include "plan/plan.hpp"

namespace dtrain::role {

struct Contribution;
struct Version;

class RowStepper {
 public:
  /// `plan` and `slice` must outlive this.
  RowStepper(const plan::Plan& plan, const plan::Slice& slice, int threads);

  /// Makes these rows (ascending), or all, what the steps until now would have made of them.
  void catch_up(Version& version, std::span<const std::uint32_t> rows);
  void catch_up(Version& version);

  /// One step of the rows that any contribution has. Returns the first weight of a piece whose gradient is not finite,
  /// where that is looked for (nothing is stepped then), or nullopt.
  std::optional<Index> step(Version& version, std::span<const Contribution> contributions,
                            const optim::StepInput& input);

  /// Sums of squares of what contributions fold to, one for each block of weights that a touched row has a part in.
  std::vector<double> squares(std::span<const Contribution> contributions);

 private:
  /// A row's elements in one piece, and in every contribution.
  struct Run {
    std::uint32_t row;
    Index begin, end;  ///< in the flat vector
  };
  void gather_runs(std::span<const Contribution> contributions, std::size_t piece);
  void add_rows(const Contribution& contribution, std::size_t which, std::size_t many, std::size_t piece);
  std::span<const float> folded(std::size_t run, std::span<const Contribution> contributions,
                                std::span<float> scratch) const;
  void step_run(Version& version, std::size_t run, std::span<const Contribution> contributions,
                const optim::Coefficients& coefficients, std::span<float> scratch);
  std::optional<Index> not_finite(std::span<const Contribution> contributions) const;
  void fetch(const Version& version, const Run& run) const;
  void catch_up_run(Version& version, const Run& run);
  Run run_of(std::uint32_t row) const;
  std::uint32_t& done(std::uint32_t row) { return done_[row - first_row_]; }

  const plan::Plan& plan_;
  const plan::Slice& slice_;
  int threads_;
  Index cols_;
  plan::Piece matrix_{};  ///< the slice's part of the first matrix
  std::uint32_t first_row_ = 0;
  optim::CatchUp catch_up_;
  bool catches_up_;
  std::vector<std::uint32_t> done_;  ///< of each row: which of the steps that may have to be made up for it has
  std::vector<Run> runs_;            ///< of the piece at hand
  std::vector<std::uint32_t> rows_, merged_;
  std::vector<const float*> sources_;  ///< [run, contribution]: its elements; nullptr: none
  std::vector<float> zeros_;
};

}  // namespace dtrain::role
