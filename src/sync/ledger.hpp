#pragma once
/// An owner's books: which version its weights are, who works with which, how stale pushes were, and the trace of it
/// all if somebody listens. One thread.

#include <algorithm>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "sync/trace.hpp"

namespace dtrain::sync {

class Ledger {
 public:
  using Sink = std::function<void(const Event&)>;
  /// What the books say, beside the trace: for whoever goes on with them.
  struct State {
    std::uint64_t version = 0;
    std::vector<std::uint64_t> pulled, histogram;
  };
  Ledger(int server, std::size_t ranks, Sink sink = {}) : server_(server), pulled_(ranks, 0), sink_(std::move(sink)) {}

  void begin(std::uint64_t version) { version_ = version, pulled_.assign(pulled_.size(), version); }
  std::uint64_t version() const { return version_; }
  State state() const { return {version_, pulled_, histogram_}; }
  void restore(const State& state) {
    version_ = state.version;
    if (state.pulled.size() == pulled_.size()) pulled_ = state.pulled;
    histogram_ = state.histogram;
  }
  /// Updates since the rank got its weights.
  std::uint64_t staleness(Rank rank) const { return version_ - pulled_[static_cast<std::size_t>(rank)]; }
  /// Per staleness, how many pushes were applied with it.
  const std::vector<std::uint64_t>& histogram() const { return histogram_; }

  void pull(Rank rank) {
    pulled_[static_cast<std::size_t>(rank)] = version_;
    tell(Event::What::pull, rank, 0, version_);
  }
  void push(const Push& push) { tell(Event::What::push, push.rank, push.clock, version_, push.rows); }
  void drop(Rank rank, Clock clock) { tell(Event::What::drop, rank, clock, version_); }
  void lose(Rank rank) { tell(Event::What::lose, rank, 0, version_); }
  /// `from`: it does no step before that.
  void join(Rank rank, Clock from = 0) { tell(Event::What::join, rank, from, version_); }
  /// What is saved now has each rank's pushes below its clock, and no others.
  void cut(std::span<const Clock> clocks, std::uint64_t ordinal) {
    for (std::size_t r = 0; r < clocks.size(); ++r)
      tell(Event::What::cut, static_cast<Rank>(r), clocks[r], version_, ordinal);
  }

  /// One update from these pushes, each of which was of its rank's clock in `clocks`.
  void apply(std::span<const Rank> ranks, std::span<const Clock> clocks) {
    for (const Rank rank : ranks) {
      const std::uint64_t old = staleness(rank);
      if (histogram_.size() <= old) histogram_.resize(old + 1);
      ++histogram_[old];
    }
    ++version_;
    for (std::size_t i = 0; i < ranks.size(); ++i) tell(Event::What::apply, ranks[i], clocks[i], version_);
  }
  /// The last step is taken back, which had made an update if `updated`.
  void undo(bool updated = true) {
    version_ -= updated ? 1 : 0;
    for (std::uint64_t& pulled : pulled_) pulled = std::min(pulled, version_);
    tell(Event::What::undo, 0, 0, version_);
  }

  void release(const Release& release) {
    pulled_[static_cast<std::size_t>(release.rank)] = version_;
    tell(Event::What::release, release.rank, release.clock, version_);
  }

 private:
  void tell(Event::What what, Rank rank, Clock clock, std::uint64_t version, std::uint64_t rows = 0) {
    if (sink_) sink_({what, server_, rank, clock, version, rows});
  }
  int server_;
  std::uint64_t version_ = 0;
  std::vector<std::uint64_t> pulled_;  ///< per rank: the version it works with
  std::vector<std::uint64_t> histogram_;
  Sink sink_;
};

}  // namespace dtrain::sync
