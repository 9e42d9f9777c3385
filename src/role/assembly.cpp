#include "role/assembly.hpp"

#include <algorithm>
#include <cstring>

#include "math/fold.hpp"
#include "sync/policy.hpp"

namespace dtrain::role {

Assembly::Assembly(const plan::Plan& plan)
    : plan_(plan),
      workers_keep_(plan.workers_keep()),
      lost_(static_cast<std::size_t>(plan.places()), false),
      least_epoch_(static_cast<std::size_t>(plan.owners()), 0) {}

Assembly::Entry& Assembly::entry(std::uint64_t ordinal) {
  const auto [at, fresh] = entries_.try_emplace(ordinal);
  if (fresh) {
    at->second.cuts.resize(static_cast<std::size_t>(plan_.owners()));
    at->second.pieces.resize(static_cast<std::size_t>(plan_.owners()));
    at->second.least_epoch = least_epoch_;
    at->second.weights = Arena(plan_.layout.total);
    if (workers_keep_) at->second.own.resize(lost_.size());
    for (Own& own : at->second.own) own.pieces.resize(least_epoch_.size());
    at->second.excused = lost_;
  }
  return at->second;
}

void Assembly::add(int server, const Cut& cut) {
  if (!was_taken(cut.ordinal)) entry(cut.ordinal).cuts.at(static_cast<std::size_t>(server)) = cut;
}

/// A worker adds to no snapshot older than the last that it has added to: one that lacks it will never be whole.
void Assembly::add_own(int worker, const Cut& cut) {
  const auto r = static_cast<std::size_t>(worker);
  if (!workers_keep_ || cut.clocks.size() != 2 || r >= lost_.size() || was_taken(cut.ordinal)) return;
  entry(cut.ordinal).own[r].clock = cut.clocks[0];
  entry(cut.ordinal).own[r].updates = cut.clocks[1];
  entry(cut.ordinal).own[r].since = cut.memory;
  std::erase_if(entries_, [&](const auto& e) {
    const auto& [ordinal, older] = e;
    const bool saved = std::any_of(older.cuts.begin(), older.cuts.end(), [](const auto& c) { return c && c->save; });
    const std::vector<std::size_t>& pieces = older.own[r].pieces;
    const bool none = std::all_of(pieces.begin(), pieces.end(), [](std::size_t n) { return n == 0; });
    return ordinal < cut.ordinal && saved && !older.own[r].clock && none;
  });
}

void Assembly::lose(int worker) {
  lost_.at(static_cast<std::size_t>(worker)) = true;
  for (auto& [ordinal, entry] : entries_) entry.excused[static_cast<std::size_t>(worker)] = true;
}

void Assembly::join(int worker) { lost_.at(static_cast<std::size_t>(worker)) = false; }

bool Assembly::add(const wire::Message& message) {
  const wire::Header& header = message.header;
  const auto total = static_cast<std::uint64_t>(plan_.layout.total);
  if (header.type != wire::Type::snapshot || header.offset > total || header.count > total - header.offset ||
      header.sender_rank >= static_cast<std::uint32_t>(plan_.owners()))
    return false;
  if (was_taken(header.clock)) return false;
  if (header.rows > 0) return add_own_piece(message);
  if (header.slice > static_cast<std::uint32_t>(plan_.server_arenas())) return false;
  Entry& into = entry(header.clock);
  if (header.epoch < into.least_epoch[header.sender_rank]) return false;
  while (into.moments.size() < header.slice) into.moments.emplace_back(plan_.layout.total);
  Arena& arena = header.slice == 0 ? into.weights : into.moments[header.slice - 1];
  std::memcpy(arena.data() + header.offset, message.data(), message.size());
  ++into.pieces[header.sender_rank];
  return true;
}

bool Assembly::add_own_piece(const wire::Message& message) {
  const wire::Header& header = message.header;
  const std::uint64_t r = header.rows - 1;
  if (!workers_keep_ || r >= lost_.size() || header.slice > static_cast<std::uint32_t>(plan_.worker_arenas()))
    return false;
  Entry& into = entry(header.clock);
  if (header.epoch < into.least_epoch[header.sender_rank]) return false;
  Own& own = into.own[r];
  if (own.state.weights.size() == 0) own.state.weights = Arena(plan_.layout.total);
  while (own.state.moments.size() < static_cast<std::size_t>(plan_.worker_arenas()))
    own.state.moments.emplace_back(plan_.layout.total);
  Arena& arena = header.slice == 0 ? own.state.weights : own.state.moments[header.slice - 1];
  std::memcpy(arena.data() + header.offset, message.data(), message.size());
  ++own.pieces[header.sender_rank];
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

void Assembly::replace(int server, std::uint32_t epoch) {
  const auto m = static_cast<std::size_t>(server);
  least_epoch_[m] = epoch;
  for (auto& [ordinal, entry] : entries_) {
    if (!has_part(entry, m)) entry.cuts[m].reset(), entry.pieces[m] = 0;
    for (Own& own : entry.own)
      if (!has_own_part(own, m)) own.pieces[m] = 0;
    entry.least_epoch[m] = epoch;
  }
}

std::vector<std::uint64_t> Assembly::known(int server) const {
  std::vector<std::uint64_t> ordinals(taken_.begin(), taken_.end());
  for (const auto& [ordinal, entry] : entries_)
    if (has_part(entry, static_cast<std::size_t>(server))) ordinals.push_back(ordinal);
  return ordinals;
}

/// Snapshots of one kind come in their order: where a server was lost with a part of one, that never becomes whole.
void Assembly::forget_outdated(std::uint64_t ordinal) {
  if (plan_.job.faults.replicas == 0) return;
  std::erase_if(entries_, [ordinal](const auto& e) { return e.first < ordinal && e.first % 8 == ordinal % 8; });
  taken_.push_back(ordinal);
  if (taken_.size() > 64) taken_.pop_front();
}

/// A standby may send what its server had sent.
bool Assembly::was_taken(std::uint64_t ordinal) const {
  return std::find(taken_.begin(), taken_.end(), ordinal) != taken_.end();
}

bool Assembly::has_part(const Entry& entry, std::size_t server) const {
  if (!entry.cuts[server]) return false;
  const std::size_t arenas = entry.cuts[server]->save ? 1 + static_cast<std::size_t>(plan_.server_arenas()) : 1;
  return plan_.pairs() || entry.pieces[server] >= arenas * plan_.slices[server].pieces.size();
}

bool Assembly::whole(const Entry& entry) const {
  for (std::size_t m = 0; m < entry.cuts.size(); ++m)
    if (!has_part(entry, m)) return false;
  return (!entry.cuts.front()->save && !plan_.pairs()) || has_own(entry);
}

/// All of what a worker keeps of its own.
bool Assembly::whole(const Own& own) const {
  std::size_t pieces = 0, have = 0;
  for (const plan::Slice& slice : plan_.slices) pieces += slice.pieces.size();
  for (const std::size_t n : own.pieces) have += n;
  return own.clock && have >= pieces * (1 + static_cast<std::size_t>(plan_.worker_arenas()));
}

/// What comes by way of this server.
bool Assembly::has_own_part(const Own& own, std::size_t server) const {
  return own.pieces[server] >=
         plan_.slices[server].pieces.size() * (1 + static_cast<std::size_t>(plan_.worker_arenas()));
}

bool Assembly::has_own(const Entry& entry) const {
  const std::vector<int>& members = entry.cuts.front()->members;  // none are told where there are no servers
  for (std::size_t r = 0; r < entry.own.size(); ++r) {
    const bool wanted = members.empty() || std::count(members.begin(), members.end(), static_cast<int>(r)) > 0;
    if (wanted && !entry.excused[r] && !whole(entry.own[r])) return false;
  }
  return true;
}

/// What a lost worker begins with when the run is resumed: the model's weights, or nothing kept back.
store::OwnState Assembly::fresh_own(const Arena& weights) const {
  store::OwnState own{Arena(weights.size()), {}};
  if (sync::traits(plan_.job.sync).weights) std::copy(weights.span().begin(), weights.span().end(), own.weights.data());
  for (int k = 0; k < plan_.worker_arenas(); ++k) own.moments.emplace_back(plan_.layout.total);
  return own;
}

/// In pairs nobody has the model: it is the mean of what all have, in the order of the ranks.
void Assembly::average_own(Entry& entry) const {
  std::vector<Share> shares;
  for (const Own& own : entry.own)
    shares.push_back({own.state.weights.data(), 1.0f / static_cast<float>(entry.own.size())});
  fold(shares, entry.weights.span());
}

Snapshot Assembly::snapshot_of(Entry entry) {
  if (plan_.pairs()) average_own(entry);
  const Cut& cut = *entry.cuts.front();
  Snapshot snapshot{cut.evaluate, cut.save, cut.last, {}, cut.ordinal};
  store::State& state = snapshot.state;
  state.applied_rows = cut.applied_rows;
  state.updates = cut.updates;
  state.clocks = cut.clocks;
  state.step = static_cast<std::uint64_t>(plan::steps_of(plan_, cut.applied_rows));
  state.weights = std::move(entry.weights);
  state.moments = std::move(entry.moments);
  state.policy = {{"memory", cut.memory}, {"worklist", cut.worklist}};
  std::vector<std::uint64_t> updates;
  std::vector<std::vector<double>> since;
  for (std::size_t r = 0; cut.save && r < entry.own.size(); ++r) {
    Own& own = entry.own[r];
    const bool known = whole(own);
    // Where servers step, the rank does again what they have not applied.
    if (known && sync::traits(plan_.job.sync).weights) state.clocks[r] = *own.clock;
    updates.push_back(known ? own.updates : 0);
    since.push_back(known ? own.since : std::vector<double>{0, 0});
    state.own.push_back(known ? std::move(own.state) : fresh_own(state.weights));
  }
  state.policy["own_updates"] = updates;
  state.policy["own_since"] = since;
  return snapshot;
}

std::optional<Snapshot> Assembly::take() {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [this](const auto& e) { return whole(e.second); });
  if (found == entries_.end()) return std::nullopt;
  Entry entry = std::move(found->second);
  const std::uint64_t ordinal = found->first;
  entries_.erase(found);
  forget_outdated(ordinal);
  return snapshot_of(std::move(entry));
}

}  // namespace dtrain::role
