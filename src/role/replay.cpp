#include "role/replay.hpp"

#include <set>

namespace dtrain::role {

using What = sync::Event::What;

Replay::Replay(const sync::Traits& traits, const std::vector<sync::Event>& events, int server)
    : gates_(!traits.gated && !traits.weights) {
  const bool matters = !traits.gated || (traits.abandons && server == 0);
  std::set<sync::Rank> asking;  // their pulls are answered without ado
  for (const sync::Event& event : events) {
    if (event.server != server) continue;
    if (event.what == What::pull) asking.insert(event.rank);
    if (event.what == What::push) asking.erase(event.rank);
    const bool arrival = event.what == What::pull || event.what == What::push;
    const bool outcome = event.what == What::apply || (event.what == What::release && !asking.contains(event.rank));
    if (matters && (arrival || (gates_ && outcome))) order_.push_back(event);
  }
}

bool Replay::allows_apply(sync::Rank rank) const {
  return !gates() || (order_.front().what == What::apply && order_.front().rank == rank);
}

void Replay::hold(const std::vector<sync::Release>& releases) {
  for (const sync::Release& release : releases) held_[release.rank] = release;
}

std::optional<sync::Release> Replay::let_go(sync::Rank rank) {
  const auto found = held_.find(rank);
  if (found == held_.end()) return std::nullopt;
  const sync::Release release = found->second;
  held_.erase(found);
  return release;
}

}  // namespace dtrain::role
