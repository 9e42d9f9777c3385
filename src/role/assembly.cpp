#include "role/assembly.hpp"

#include <algorithm>
#include <cstring>

namespace dtrain::role {

Assembly::Entry& Assembly::entry(std::uint64_t ordinal) {
  const auto [at, fresh] = entries_.try_emplace(ordinal);
  if (fresh) {
    at->second.cuts.resize(static_cast<std::size_t>(plan_.servers));
    at->second.pieces.resize(static_cast<std::size_t>(plan_.servers));
    at->second.least_epoch.resize(static_cast<std::size_t>(plan_.servers));
    at->second.weights = Arena(plan_.layout.total);
  }
  return at->second;
}

void Assembly::add(int server, const Cut& cut) { entry(cut.ordinal).cuts.at(static_cast<std::size_t>(server)) = cut; }

bool Assembly::add(const wire::Message& message) {
  const wire::Header& header = message.header;
  const auto total = static_cast<std::uint64_t>(plan_.layout.total);
  if (header.type != wire::Type::snapshot || header.offset > total || header.count > total - header.offset ||
      header.slice > static_cast<std::uint32_t>(plan_.moments()) ||
      header.sender_rank >= static_cast<std::uint32_t>(plan_.servers))
    return false;
  Entry& into = entry(header.clock);
  if (header.epoch < into.least_epoch[header.sender_rank]) return false;
  while (into.moments.size() < header.slice) into.moments.emplace_back(plan_.layout.total);
  Arena& arena = header.slice == 0 ? into.weights : into.moments[header.slice - 1];
  std::memcpy(arena.data() + header.offset, message.payload.data(), message.payload.size());
  ++into.pieces[header.sender_rank];
  return true;
}

void Assembly::take_back(int server, std::uint64_t step, std::uint32_t epoch) {
  const auto m = static_cast<std::size_t>(server);
  for (auto& [ordinal, entry] : entries_) {
    if (!entry.cuts[m] || entry.cuts[m]->clocks.front() <= step) continue;
    entry.cuts[m].reset();
    entry.pieces[m] = 0;
    entry.least_epoch[m] = epoch;
  }
}

bool Assembly::whole(const Entry& entry) const {
  for (std::size_t m = 0; m < entry.cuts.size(); ++m) {
    if (!entry.cuts[m]) return false;
    const std::size_t arenas = entry.cuts[m]->save ? 1 + static_cast<std::size_t>(plan_.moments()) : 1;
    if (entry.pieces[m] < arenas * plan_.slices[m].pieces.size()) return false;
  }
  return true;
}

std::optional<Snapshot> Assembly::take() {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [this](const auto& e) { return whole(e.second); });
  if (found == entries_.end()) return std::nullopt;
  Entry& entry = found->second;
  const Cut& cut = *entry.cuts.front();
  Snapshot snapshot{cut.evaluate, cut.save, cut.last, {}};
  snapshot.state.applied_rows = cut.applied_rows;
  snapshot.state.updates = cut.updates;
  snapshot.state.clocks = cut.clocks;
  snapshot.state.step = static_cast<std::uint64_t>(plan::steps_of(plan_, cut.applied_rows));
  snapshot.state.weights = std::move(entry.weights);
  snapshot.state.moments = std::move(entry.moments);
  entries_.erase(found);
  return snapshot;
}

}  // namespace dtrain::role
