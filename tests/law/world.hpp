#pragma once
/// A policy, the ranks that obey it, and those who watch: the judge of traces, and a plain oracle.

#include "law/oracle.hpp"
#include "law/schedule.hpp"
#include "sync/ledger.hpp"
#include "sync/promise.hpp"

namespace dtrain::law {

class World {
 public:
  World(const Schedule& setting, const Maker& maker);

  /// What is wrong now, or "".
  std::string happen(const Happening& happening);

  bool owes(Rank rank) const;
  bool is_active(Rank rank) const { return at(rank).active; }
  bool may_undo() const { return undoable_; }
  /// Every rank that takes part has done its steps.
  bool is_over() const;
  std::vector<Rank> where(const std::function<bool(Rank)>& which) const;

  const sync::Actions& actions() const { return actions_; }
  const std::vector<sync::Event>& events() const { return events_; }
  const sync::TraceHead& head() const { return head_; }
  std::uint64_t version() const { return ledger_.version(); }
  std::uint64_t taken() const { return taken_; }
  const std::vector<std::uint64_t>& staleness() const { return ledger_.histogram(); }
  sync::Release released(Rank rank) const { return at(rank).at; }
  bool works(Rank rank) const { return at(rank).active && at(rank).works; }

 private:
  struct Part {
    bool active = true, joining = false;
    bool works = true;  ///< released, and has not pushed since
    bool owes = true;   ///< its worker half sends something in the step that is due
    sync::Release at;
    std::optional<Clock> skipped;  ///< let go without the push of that clock
  };
  Part& at(Rank rank) { return parts_[static_cast<std::size_t>(rank)]; }
  const Part& at(Rank rank) const { return parts_[static_cast<std::size_t>(rank)]; }
  Rank ranks() const { return static_cast<Rank>(parts_.size()); }

  void hand_out_weights();
  std::string push(Rank rank, Clock clock, const Happening& happening);
  std::string lose(const Happening& happening);
  std::string join(Rank rank);
  std::string undo(Rank rank);
  std::string obey(const sync::Actions& expected);
  void tell_oracle();
  std::string check_change();
  void apply();
  void let_go();
  void admit_if_alone();
  std::string look_round();

  Schedule setting_;
  sync::Traits traits_;
  std::unique_ptr<sync::Policy> policy_;
  std::vector<std::unique_ptr<sync::Rhythm>> rhythms_;
  std::unique_ptr<Oracle> oracle_;
  std::vector<Part> parts_;
  sync::Actions actions_;
  sync::TraceHead head_;
  std::vector<sync::Event> events_;
  std::unique_ptr<sync::Witness> witness_;
  sync::Ledger ledger_;
  std::string breach_;
  double now_ = 0;
  Clock pushed_clock_ = 0;
  std::uint64_t taken_ = 0;
  Clock step_ = 0;  ///< gated: where the block in flight begins
  bool undoable_ = false, last_updated_ = false;
  std::int64_t bound_ = 0;  ///< adaptive: as told
};

}  // namespace dtrain::law
