#include "sync/promise.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace dtrain::sync {
namespace {

using What = Event::What;

bool is_gated(const job::Sync& sync) {
  switch (sync.policy) {
    case job::PolicyName::bsp:
    case job::PolicyName::sign_vote:
    case job::PolicyName::quorum:
    case job::PolicyName::subset:
    case job::PolicyName::local:
    case job::PolicyName::bmuf: return true;
    case job::PolicyName::adaptive: return sync.adapt == job::Adapts::period;
    case job::PolicyName::asp:
    case job::PolicyName::ssp:
    case job::PolicyName::easgd:
    case job::PolicyName::gossip: break;
  }
  return false;
}

/// Gated policies: every server takes the same updates in the same order. One may be ahead where the trace ends.
std::optional<Breach> compare(const std::vector<Fold>& one, const std::vector<Fold>& other, int server) {
  for (std::size_t i = 0; i < std::min(one.size(), other.size()); ++i) {
    const Fold &a = one[i], &b = other[i];
    if (a.clock == b.clock && a.ranks == b.ranks) continue;
    return Breach{std::max(a.event, b.event),
                  fmt::format("update {} of server 0 is of step {} and ranks {}, that of server {} is of step {} and "
                              "ranks {}: all servers must take the same pushes in the same order",
                              i + 1, a.clock, fmt::join(a.ranks, " "), server, b.clock, fmt::join(b.ranks, " "))};
  }
  return std::nullopt;
}

/// The cuts of one server: each tells of all ranks at once, and is where that of the same ordinal is on every other.
/// Not every server has all: one that was lost, and the one in its place, may lack what was under way.
class Cuts {
 public:
  explicit Cuts(std::size_t ranks) : ranks_(ranks) {}

  std::string see(std::size_t index, const Event& event) {
    if (event.what != What::cut)
      return open_ == nullptr
                 ? std::string()
                 : fmt::format("the cut before this tells of {} of {} ranks only", open_->clocks.size(), ranks_);
    if (open_ == nullptr) {
      const auto [at, fresh] = cuts_.try_emplace(event.rows);
      if (!fresh) return fmt::format("the cut of ordinal {} is told of twice", event.rows);
      open_ = &at->second;
      ordinal_ = event.rows;
    }
    if (static_cast<std::size_t>(event.rank) != open_->clocks.size() || event.rows != ordinal_)
      return fmt::format("a cut tells of rank {} where rank {} of ordinal {} is due", event.rank, open_->clocks.size(),
                         ordinal_);
    open_->clocks.push_back(event.clock);
    open_->event = index;
    if (open_->clocks.size() == ranks_) open_ = nullptr;
    return {};
  }

  /// `gone`: ranks that were lost; their last pushes may not have come everywhere.
  std::optional<Breach> compare(const Cuts& other, int server, const std::set<Rank>& gone) const {
    for (const auto& [ordinal, here] : cuts_) {
      const auto found = other.cuts_.find(ordinal);
      if (found == other.cuts_.end()) continue;
      const Cut& there = found->second;
      for (std::size_t r = 0; r < std::min(here.clocks.size(), there.clocks.size()); ++r)
        if (here.clocks[r] != there.clocks[r] && !gone.contains(static_cast<Rank>(r)))
          return Breach{std::max(here.event, there.event),
                        fmt::format("the cut of ordinal {} has rank {} at step {} on server 0 and at step {} on server "
                                    "{}: it must be one on all",
                                    ordinal, r, here.clocks[r], there.clocks[r], server)};
    }
    return std::nullopt;
  }

 private:
  struct Cut {
    std::vector<Clock> clocks;
    std::size_t event = 0;  ///< index of its last
  };
  std::size_t ranks_;
  std::map<std::uint64_t, Cut> cuts_;  ///< by ordinal
  Cut* open_ = nullptr;                ///< of which not all ranks are told yet
  std::uint64_t ordinal_ = 0;          ///< of that
};

std::optional<Breach> first(std::optional<Breach> one, std::optional<Breach> other) {
  if (!one || (other && other->event < one->event)) return other;
  return one;
}

std::string out_of_range(const TraceHead& head, const Event& event) {
  if (event.server < 0 || event.server >= head.servers)
    return fmt::format("there is no server {}: the run has {}", event.server, head.servers);
  if (event.rank < 0 || event.rank >= head.workers)
    return fmt::format("there is no rank {}: the run has {} workers", event.rank, head.workers);
  return {};
}

}  // namespace

std::optional<Breach> Witness::see(std::size_t index, const Event& event) {
  const bool goes_on = event.what == What::apply && version_ == event.version;
  if (!open_.ranks.empty() && !goes_on)
    if (auto breach = close_update()) return breach;
  Why why = event.what == What::apply ? judge_apply(index, event) : judge(event);
  if (!why.empty()) return Breach{index, std::move(why)};
  just_lost_.reset();
  if (event.what == What::lose) just_lost_ = event.rank;
  return std::nullopt;
}

std::optional<Breach> Witness::rest(std::size_t end) {
  if (!open_.ranks.empty())
    if (auto breach = close_update()) return breach;
  Why why = missing();
  if (why.empty()) return std::nullopt;
  return Breach{end, std::move(why)};
}

std::optional<Breach> Witness::close_update() {
  Fold fold = std::exchange(open_, {});
  std::sort(fold.ranks.begin(), fold.ranks.end());
  Why why = close(fold);
  if (!why.empty()) return Breach{fold.event, std::move(why)};
  folds_.push_back(std::move(fold));
  return std::nullopt;
}

Witness::Why Witness::judge(const Event& event) {
  if (event.what == What::undo) return judge_undo(event);
  if (!version_) version_ = event.version;
  if (event.version != *version_)
    return fmt::format("the version is told as {}, but the updates up to here make it {}", event.version, *version_);
  switch (event.what) {
    case What::push: return judge_push(event);
    case What::drop:
      if (!owes(event.rank, event.clock)) return {};
      return fmt::format("the push of step {} is dropped, though it is just what rank {} owed", event.clock,
                         event.rank);
    case What::release: return judge_release(event);
    case What::lose: return lose(event.rank), Why();
    case What::join:
      if (is_active(event.rank)) return fmt::format("rank {} joins, though it was never lost", event.rank);
      return join(event), Why();
    case What::pull: return asking_.insert(event.rank), Why();
    case What::cut: return cut(event);
    case What::apply:
    case What::undo: break;
  }
  return {};
}

Witness::Why Witness::cut(const Event&) {
  return "a cut is told of, though all steps here are in common and what is saved is that of a step";
}

Witness::Why Witness::judge_push(const Event& event) {
  if (may_owe(event.rank, event.clock)) return push(event), Why();
  if (!is_active(event.rank))
    return fmt::format("a push of rank {} is taken, though it is lost and has not joined again", event.rank);
  return fmt::format(
      "a push of rank {} for step {} is taken, which it did not owe: a duplicate, a leftover, or one "
      "that comes before its turn",
      event.rank, event.clock);
}

Witness::Why Witness::judge_release(const Event& event) {
  if (!is_active(event.rank))
    return fmt::format("rank {} is released, though it is lost and has not joined again", event.rank);
  // A pull is answered by the weights for the step that the rank is at.
  const bool asked = asking_.erase(event.rank) > 0;
  return asked && is_at(event.rank, event.clock) ? Why() : release(event);
}

Witness::Why Witness::judge_apply(std::size_t index, const Event& event) {
  const bool opens = open_.ranks.empty();
  if (!version_) version_ = event.version - 1;
  if (opens && event.version != *version_ + 1)
    return fmt::format("this update makes version {}, but the one before it made {}: versions grow by one",
                       event.version, *version_);
  if (!opens && event.clock != open_.clock)
    return fmt::format("one update holds pushes of step {} and of step {}", open_.clock, event.clock);
  Why why = apply(event);
  if (!why.empty()) return why;
  version_ = event.version;
  open_.clock = event.clock;
  open_.event = index;
  open_.ranks.push_back(event.rank);
  return {};
}

Witness::Why Witness::judge_undo(const Event& event) {
  if (!just_lost_) return "an update is taken back, though no rank was lost just before";
  bool updated = false;
  Why why = undo(*just_lost_, updated);
  if (!why.empty()) return why;
  if (updated) --*version_, folds_.pop_back();
  if (event.version != *version_)
    return fmt::format("the version is told as {}, but without what is taken back it is {}", event.version, *version_);
  return {};
}

Clock end_of(const TraceHead& head) {
  return head.total_steps > 0 ? head.total_steps : std::numeric_limits<Clock>::max();
}

std::unique_ptr<Witness> make_witness(const TraceHead& head, const job::Sync& sync, std::uint64_t seed) {
  return is_gated(sync) ? make_gated_witness(head, sync, seed) : make_free_witness(head, sync);
}

std::optional<Breach> find_breach(const TraceHead& head, const job::Sync& sync, std::uint64_t seed,
                                  const std::vector<Event>& events) {
  std::vector<std::unique_ptr<Witness>> witnesses;
  for (int server = 0; server < head.servers; ++server) witnesses.push_back(make_witness(head, sync, seed));
  std::vector<Cuts> cuts(witnesses.size(), Cuts(head.clocks.size()));
  std::set<Rank> gone(head.absent.begin(), head.absent.end());
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (std::string why = out_of_range(head, events[i]); !why.empty()) return Breach{i, std::move(why)};
    const auto server = static_cast<std::size_t>(events[i].server);
    if (auto breach = witnesses[server]->see(i, events[i])) return breach;
    if (std::string why = cuts[server].see(i, events[i]); !why.empty()) return Breach{i, std::move(why)};
    if (events[i].what == What::lose) gone.insert(events[i].rank);
  }
  std::optional<Breach> breach;
  for (const auto& witness : witnesses) breach = first(std::move(breach), witness->rest(events.size()));
  for (int server = 1; server < head.servers; ++server)
    breach = first(std::move(breach), cuts.front().compare(cuts[static_cast<std::size_t>(server)], server, gone));
  for (int server = 1; is_gated(sync) && server < head.servers; ++server)
    breach = first(std::move(breach),
                   compare(witnesses.front()->folds(), witnesses[static_cast<std::size_t>(server)]->folds(), server));
  return breach;
}

}  // namespace dtrain::sync
