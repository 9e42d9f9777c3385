#pragma once
/// Where the network is split: states of the whole network cut into those of its cells, and back. Checkpoints are of
/// the whole network, whatever grid it is trained on.

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "role/assembly.hpp"

namespace dtrain::role {

/// One state a cell; that of the whole network itself where it is not split.
std::deque<store::State> parts_of(const plan::Plan& plan, store::State whole);

/// Each cell's snapshots are put together apart, then those that go by one ordinal to one. What is saved is of one cut;
/// evaluations in the midst of a run under asp, ssp or easgd, whose cells go their own ways, are not, and the whole
/// counts as being at the least.
class JointAssembly {
 public:
  explicit JointAssembly(const plan::Plan& plan);

  Assembly& of_cell(int cell) { return cells_[static_cast<std::size_t>(cell)]; }
  /// As Assembly::take(), of the whole network.
  std::optional<Snapshot> take();

 private:
  using Parts = std::vector<std::optional<Snapshot>>;
  void forget_before(std::uint64_t ordinal);
  Snapshot join(Parts& parts) const;
  void join_arenas(store::State& into, Parts& parts) const;

  const plan::Plan& plan_;
  std::deque<Assembly> cells_;
  std::map<std::uint64_t, Parts> waiting_;  ///< by ordinal
};

}  // namespace dtrain::role
