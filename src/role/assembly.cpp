#include "role/assembly.hpp"

#include <algorithm>
#include <cstring>

namespace dtrain::role {

Assembly::Entry& Assembly::entry(std::uint64_t ordinal) {
  const auto [at, fresh] = entries_.try_emplace(ordinal);
  if (fresh) {
    at->second.cuts.resize(static_cast<std::size_t>(plan_.servers));
    at->second.weights = Arena(plan_.layout.total);
  }
  return at->second;
}

void Assembly::add(int server, const Cut& cut) { entry(cut.ordinal).cuts.at(static_cast<std::size_t>(server)) = cut; }

bool Assembly::add(const wire::Message& message) {
  const wire::Header& header = message.header;
  const auto total = static_cast<std::uint64_t>(plan_.layout.total);
  if (header.type != wire::Type::snapshot || header.offset > total || header.count > total - header.offset ||
      header.slice > static_cast<std::uint32_t>(plan_.moments()))
    return false;
  Entry& into = entry(header.clock);
  while (into.moments.size() < header.slice) into.moments.emplace_back(plan_.layout.total);
  Arena& arena = header.slice == 0 ? into.weights : into.moments[header.slice - 1];
  std::memcpy(arena.data() + header.offset, message.payload.data(), message.payload.size());
  ++into.pieces;
  return true;
}

std::size_t Assembly::pieces_of(bool save) const {
  std::size_t pieces = 0;
  for (const plan::Slice& slice : plan_.slices) pieces += slice.pieces.size();
  return save ? pieces * (1 + static_cast<std::size_t>(plan_.moments())) : pieces;
}

std::optional<Snapshot> Assembly::take() {
  if (entries_.empty()) return std::nullopt;
  Entry& first = entries_.begin()->second;
  if (!std::all_of(first.cuts.begin(), first.cuts.end(), [](const auto& cut) { return cut.has_value(); }))
    return std::nullopt;
  const Cut& cut = *first.cuts.front();
  if (first.pieces < pieces_of(cut.save)) return std::nullopt;
  Snapshot snapshot{cut.ordinal, cut.evaluate, cut.save, cut.last, {}};
  snapshot.state.applied_rows = cut.applied_rows;
  snapshot.state.updates = cut.updates;
  snapshot.state.clocks = cut.clocks;
  snapshot.state.step = static_cast<std::uint64_t>(plan::steps_of(plan_, cut.applied_rows));
  snapshot.state.weights = std::move(first.weights);
  snapshot.state.moments = std::move(first.moments);
  entries_.erase(entries_.begin());
  return snapshot;
}

}  // namespace dtrain::role
