#include "law/world.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dtrain::law {
namespace {

using What = Happening::What;

std::string text(const std::vector<sync::Release>& releases) {
  std::string out;
  for (const sync::Release& release : releases)
    out += fmt::format(" {}:{}-{}", release.rank, release.clock, release.due);
  return out;
}

std::string text(const sync::Actions& actions) {
  return fmt::format("fold [{}] release [{}] refresh [{}]", fmt::join(actions.fold, " "), text(actions.release),
                     fmt::join(actions.refresh, " "));
}

bool is_same(const sync::Actions& a, const sync::Actions& b) {
  return a.fold == b.fold && a.release == b.release && a.refresh == b.refresh;
}

std::int64_t first_bound(const Schedule& setting) {
  const job::Sync& sync = setting.sync;
  if (sync.adapt == job::Adapts::staleness) return sync.low;
  return std::clamp(sync.period, std::max<std::int64_t>(1, sync.low), std::max<std::int64_t>(1, sync.high));
}

}  // namespace

World::World(const Schedule& setting, const Maker& maker)
    : setting_(setting),
      traits_(sync::traits(setting.sync)),
      policy_(maker(setting)),
      oracle_(make_oracle(setting)),
      parts_(setting.clocks.size()),
      ledger_(0, setting.clocks.size(),
              [this](const sync::Event& event) {
                events_.push_back(event);
                if (!breach_.empty()) return;
                if (const auto breach = witness_->see(events_.size() - 1, event)) breach_ = breach->why;
              }),
      bound_(first_bound(setting)) {
  head_.workers = static_cast<int>(parts_.size());
  head_.total_steps = setting.total_steps;
  head_.single_until = setting.single_until;
  head_.clocks = setting.clocks;
  head_.absent = setting.absent;
  witness_ = sync::make_witness(head_, setting.sync, setting.seed);
  ledger_.begin(setting.seed % 100);
  for (const Rank rank : setting.absent) at(rank).active = false;
  for (Rank rank = 0; rank < ranks(); ++rank) {
    rhythms_.push_back(sync::make_rhythm(setting.sync, setting.setup(), rank));
    at(rank).at = policy_->released(rank);
  }
  for (Part& part : parts_) step_ = std::max(step_, part.at.clock);
  if (setting_.sync.policy == job::PolicyName::subset) let_go();
  if (setting.seed % 2 == 0) hand_out_weights();
}

/// Each rank asks for what it begins with, and is answered.
void World::hand_out_weights() {
  for (const Rank rank : where([this](Rank each) { return at(each).active; })) {
    ledger_.pull(rank);
    ledger_.release(at(rank).at);
  }
}

bool World::owes(Rank rank) const {
  const Part& part = at(rank);
  if (!part.active || !part.works || part.joining || part.at.due >= setting_.total_steps) return false;
  return rhythms_[static_cast<std::size_t>(rank)]->turn(part.at.due, part.at.due).exchange !=
         sync::Turn::Exchange::none;
}

std::vector<Rank> World::where(const std::function<bool(Rank)>& which) const {
  std::vector<Rank> out;
  for (Rank rank = 0; rank < ranks(); ++rank)
    if (which(rank)) out.push_back(rank);
  return out;
}

bool World::is_over() const {
  return std::all_of(parts_.begin(), parts_.end(), [this](const Part& part) {
    return !part.active || (part.works && part.at.due >= setting_.total_steps);
  });
}

std::string World::happen(const Happening& happening) {
  actions_.clear();
  const Rank rank = happening.rank;
  if (rank >= ranks()) return {};
  const Part& part = at(rank);
  switch (happening.what) {
    case What::owed: return owes(rank) ? push(rank, part.at.due, happening) : "";
    case What::stray: {
      const auto clock = static_cast<std::int64_t>(part.at.due) + happening.shift;
      const bool owed = owes(rank) && happening.shift == 0;
      return owed || clock < 0 ? "" : push(rank, static_cast<Clock>(clock), happening);
    }
    case What::lose: return part.active ? lose(happening) : "";
    case What::join: return part.active ? "" : join(rank);
    case What::undo: return part.active && undoable_ ? undo(rank) : "";
  }
  return {};
}

std::string World::push(Rank rank, Clock clock, const Happening& happening) {
  now_ += happening.pause;
  const sync::Push push{rank, clock, happening.rows, happening.loss, now_};
  const Part& part = at(rank);
  const bool owed = owes(rank) && clock == part.at.due;
  const bool late = traits_.abandons && part.active && part.skipped && *part.skipped == clock;
  const sync::Verdict verdict = policy_->push(push, actions_);
  if ((verdict == sync::Verdict::taken) != owed)
    return fmt::format("a push of rank {} for step {} is {}", rank, clock, owed ? "owed, but not taken" : "taken");
  if (!owed) {
    ledger_.drop(rank, clock);
    if (!traits_.abandons && verdict == sync::Verdict::late) return "a push is late where none can be";
    if (late && verdict != sync::Verdict::late)
      return fmt::format("rank {}'s push for step {} came too late and is not called so", rank, clock);
    return obey({});
  }
  ++taken_;
  pushed_clock_ = clock;
  at(rank).works = false;
  ledger_.push(push);
  tell_oracle();
  return obey(oracle_->push(push));
}

std::string World::lose(const Happening& happening) {
  policy_->lose(happening.rank, happening.keep, actions_);
  at(happening.rank).active = at(happening.rank).joining = false;
  ledger_.lose(happening.rank);
  admit_if_alone();
  tell_oracle();
  return obey(oracle_->lose(happening.rank, happening.keep));
}

std::string World::join(Rank rank) {
  policy_->join(rank, actions_);
  Part& part = at(rank);
  part.active = true;
  part.works = false;
  part.joining = true;
  part.skipped.reset();
  ledger_.join(rank);
  admit_if_alone();
  tell_oracle();
  return obey(oracle_->join(rank));
}

std::string World::undo(Rank rank) {
  policy_->undo(rank, actions_);
  at(rank).active = at(rank).joining = false;
  ledger_.lose(rank);
  ledger_.undo(last_updated_);
  for (Part& part : parts_) part.works = false;
  --step_;
  undoable_ = false;
  admit_if_alone();
  tell_oracle();
  return obey(oracle_->undo(rank));
}

void World::tell_oracle() {
  if (actions_.change) oracle_->set_bound(actions_.change->to);
}

/// Does what the policy says, as an owner would, and lets all who watch judge it.
std::string World::obey(const sync::Actions& expected) {
  if (!is_same(actions_, expected)) return fmt::format("{} instead of {}", text(actions_), text(expected));
  if (std::string why = check_change(); !why.empty()) return why;
  apply();
  let_go();
  return look_round();
}

std::string World::check_change() {
  if (!actions_.change) return {};
  const sync::Change& change = *actions_.change;
  if (setting_.sync.policy != job::PolicyName::adaptive) return "a bound is changed where none is to be set";
  const std::int64_t least = setting_.sync.adapt == job::Adapts::period ? 1 : 0;
  const std::int64_t low = std::max(least, setting_.sync.low), high = std::max(least, setting_.sync.high);
  if (change.from != bound_) return fmt::format("a bound of {} is said to have been {}", bound_, change.from);
  if (change.to == change.from) return "a change that is none";
  if (change.to < low || change.to > high) return fmt::format("{} is outside of [{}, {}]", change.to, low, high);
  bound_ = change.to;
  return {};
}

void World::apply() {
  const bool finishes = traits_.gated && !actions_.release.empty() && actions_.release.front().clock != step_;
  if (finishes) last_updated_ = !actions_.fold.empty();
  undoable_ = undoable_ || (finishes && traits_.gated && !traits_.decided);
  if (actions_.fold.empty()) return;
  const Clock clock = finishes ? actions_.release.front().clock - 1 : pushed_clock_;
  ledger_.apply(actions_.fold, std::vector<Clock>(actions_.fold.size(), clock));
}

void World::let_go() {
  for (const sync::Release& release : actions_.release) {
    Part& part = at(release.rank);
    if (part.works && part.active) part.skipped = part.at.due;
    part.works = true;
    part.joining = false;
    part.at = release;
    ledger_.release(release);
  }
  if (!actions_.release.empty()) step_ = std::max(actions_.release.front().clock, traits_.gated ? Clock{0} : step_);
  if (setting_.sync.policy != job::PolicyName::subset) return;
  const std::vector<Rank> present = where([this](Rank rank) { return at(rank).active && !at(rank).joining; });
  const bool begins = events_.empty() || !actions_.release.empty();
  for (const auto& rhythm : rhythms_)
    if (begins) rhythm->set_active(present);
}

/// Those who wait for the next step take over this one if nobody else is in it.
void World::admit_if_alone() {
  const auto present = where([this](Rank rank) { return at(rank).active && !at(rank).joining; });
  if ((!present.empty() && step_ < setting_.total_steps) || !traits_.gated) return;
  for (Part& part : parts_) part.joining = false;
}

/// What must hold whenever nothing happens.
std::string World::look_round() {
  if (breach_.empty())
    if (const auto breach = witness_->rest(events_.size())) breach_ = breach->why;
  if (!breach_.empty()) return "the judge of traces: " + breach_;
  bool waits = false, somebody = false;
  for (Rank rank = 0; rank < ranks(); ++rank) {
    const Part& part = at(rank);
    if (!part.active) continue;
    if (part.works && policy_->released(rank) != part.at)
      return fmt::format("rank {} was let go into something else than released() says", rank);
    somebody = somebody || owes(rank);
    waits = waits || !part.works || part.at.due < setting_.total_steps;
  }
  if (waits && !somebody) return "ranks wait, and nobody owes a push";
  return {};
}

}  // namespace dtrain::law
