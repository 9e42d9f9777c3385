#include "role/joint_assembly.hpp"

#include <algorithm>

#include "model/cell.hpp"

namespace dtrain::role {
namespace {

model::Range all(const model::Layout& layout) { return {0, layout.total}; }

Arena cut(const model::Layout& cell, const Arena& whole) {
  Arena part(cell.total);
  model::take_part(cell, all(cell), whole.span(), part.span());
  return part;
}

std::vector<Arena> cut(const model::Layout& cell, const std::vector<Arena>& whole) {
  std::vector<Arena> parts;
  for (const Arena& arena : whole) parts.push_back(cut(cell, arena));
  return parts;
}

void put(const model::Layout& cell, const Arena& part, Arena& whole, Index total) {
  if (whole.size() == 0) whole = Arena(total);
  model::put_part(cell, all(cell), part.span(), whole.span());
}

void put(const model::Layout& cell, const std::vector<Arena>& parts, std::vector<Arena>& whole, Index total) {
  whole.resize(std::max(whole.size(), parts.size()));
  for (std::size_t k = 0; k < parts.size(); ++k) put(cell, parts[k], whole[k], total);
}

/// Element by element.
void least_of(Json& numbers, const Json& others) {
  for (std::size_t k = 0; k < std::min(numbers.size(), others.size()); ++k)
    if (others[k] < numbers[k]) numbers[k] = others[k];
}

}  // namespace

std::deque<store::State> parts_of(const plan::Plan& plan, store::State whole) {
  std::deque<store::State> parts;
  for (const plan::Plan& cell : plan.cells) {
    store::State& part = parts.emplace_back();
    part.step = whole.step, part.applied_rows = whole.applied_rows, part.updates = whole.updates;
    part.clocks = whole.clocks;
    part.policy = whole.policy;
    part.weights = cut(cell.layout, whole.weights);
    part.moments = cut(cell.layout, whole.moments);
    for (const store::OwnState& own : whole.own)
      part.own.push_back({cut(cell.layout, own.weights), cut(cell.layout, own.moments)});
  }
  if (parts.empty()) parts.push_back(std::move(whole));
  return parts;
}

JointAssembly::JointAssembly(const plan::Plan& plan) : plan_(plan) {
  for (int c = 0; c < plan.grid.cells(); ++c) cells_.emplace_back(plan.of_cell(c));
}

std::optional<Snapshot> JointAssembly::take() {
  if (cells_.size() == 1) return cells_.front().take();
  for (std::size_t c = 0; c < cells_.size(); ++c)
    while (auto snapshot = cells_[c].take()) {
      Parts& parts = waiting_[snapshot->ordinal];
      parts.resize(cells_.size());
      parts[c] = std::move(snapshot);
    }
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [](const auto& entry) {
    return std::all_of(entry.second.begin(), entry.second.end(), [](const auto& part) { return part.has_value(); });
  });
  if (found == waiting_.end()) return std::nullopt;
  Snapshot snapshot = join(found->second);
  waiting_.erase(found);
  if (snapshot.save) forget_before(snapshot.ordinal);
  return snapshot;
}

/// Cells that go their own ways may pass over different ones: these never become whole, and this one is newer.
void JointAssembly::forget_before(std::uint64_t ordinal) {
  std::erase_if(waiting_, [ordinal](const auto& entry) {
    const Parts& parts = entry.second;
    return entry.first < ordinal &&
           std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part && part->save; });
  });
}

/// Where cells go their own ways, as under asp, what is evaluated is as far as the one that is least far.
Snapshot JointAssembly::join(Parts& parts) const {
  const Snapshot& first = *parts.front();
  Snapshot joint{first.evaluate, first.save, first.last, {}, first.ordinal};
  store::State& state = joint.state;
  state.policy = first.state.policy;
  state.clocks = first.state.clocks;
  state.step = first.state.step, state.applied_rows = first.state.applied_rows, state.updates = first.state.updates;
  for (auto& part : parts) {
    state.step = std::min(state.step, part->state.step);
    state.applied_rows = std::min(state.applied_rows, part->state.applied_rows);
    state.updates = std::min(state.updates, part->state.updates);
    for (std::size_t r = 0; r < state.clocks.size(); ++r)
      state.clocks[r] = std::min(state.clocks[r], part->state.clocks[r]);
    least_of(state.policy["own_updates"], part->state.policy["own_updates"]);
  }
  join_arenas(state, parts);
  return joint;
}

void JointAssembly::join_arenas(store::State& into, Parts& parts) const {
  const Index total = plan_.layout.total;
  for (std::size_t c = 0; c < parts.size(); ++c) {
    const model::Layout& cell = plan_.cells[c].layout;
    const store::State& part = parts[c]->state;
    put(cell, part.weights, into.weights, total);
    put(cell, part.moments, into.moments, total);
    into.own.resize(part.own.size());
    for (std::size_t r = 0; r < part.own.size(); ++r) {
      put(cell, part.own[r].weights, into.own[r].weights, total);
      put(cell, part.own[r].moments, into.own[r].moments, total);
    }
    parts[c].reset();
  }
}

}  // namespace dtrain::role
