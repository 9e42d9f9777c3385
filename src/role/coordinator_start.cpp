/// What all are told when everybody is ready, and what they start from.

#include "base/text.hpp"
#include "role/coordinator_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {

/// What one member is told: whom to reach, beside what all are told.
Start Coordinator::start_of(const Member& reader, Start start) {
  const auto key = [this](const Member& member) { return doors_.secure() ? member.public_key : ""; };
  const int cell = reader.role == wire::Role::loader ? 0 : cell_of(reader);
  const auto reach = [&](const Member& member, auto& endpoints, auto& keys, auto& names) {
    endpoints.push_back(endpoint_for(member.data_endpoint, reader));
    keys.push_back(key(member));
    names.push_back(member.name());
  };
  for (int m = 0; m < plan_.of_cell(cell).owners(); ++m)
    reach(roster_.owner(plan_, cell, m), start.endpoints, start.keys, start.names);
  start.stands_by = reader.stands_by();
  if (const Member* standby = reader.role == wire::Role::server ? roster_.standby(reader.rank) : nullptr;
      standby != nullptr && standby != &reader) {
    start.standby = endpoint_for(standby->data_endpoint, reader);
    start.standby_key = key(*standby);
  }
  if (!plan_.grid.split() || reader.role == wire::Role::loader) return start_with_rows(reader, std::move(start));
  start.number = first_owner(cell) + rank_in_cell(reader);
  for (int c = 0; c < plan_.grid.cells(); ++c) {
    if (reader.role == wire::Role::worker)
      reach(roster_.worker(plan_.grid.rank_of(plan_.grid.data_of(reader.rank), c)), start.replica, start.replica_keys,
            start.replica_names);
    for (int m = 0; plan_.job.train.clip_norm > 0 && m < plan_.of_cell(c).owners(); ++m)
      reach(roster_.owner(plan_, c, m), start.everywhere, start.everywhere_keys, start.everywhere_names);
  }
  return start_with_rows(reader, std::move(start));
}

/// The same of those who have rows.
Start Coordinator::start_with_rows(const Member& reader, Start start) {
  const auto has_rows = [&](const Member& member, const std::string& endpoints) {
    start.row_endpoints.push_back(endpoint_for(endpoints, reader));
    start.row_keys.push_back(doors_.secure() ? member.public_key : "");
  };
  for (int k = 0; k < plan_.loaders(); ++k) has_rows(roster_.loader(k), roster_.loader(k).data_endpoint);
  for (int w = 0; plan_.trades_rows() && w < plan_.workers; ++w)
    has_rows(roster_.worker(w), roster_.worker(w).row_endpoint);
  return start;
}

void Coordinator::start() {
  const store::State& state = states_.front();
  Start start;
  start.clocks = state.clocks;
  start.updates = state.updates;
  start.applied_rows = state.applied_rows;
  start.memory = state.policy.value("memory", std::vector<double>());
  start.worklist = state.policy.value("worklist", std::vector<std::int64_t>());
  if (!state.own.empty()) {
    start.own_updates = state.policy.at("own_updates").get<std::vector<std::uint64_t>>();
    start.own_since = state.policy.at("own_since").get<std::vector<std::vector<double>>>();
  }
  start.active = plan_.grid.split() ? everyone(plan_.workers) : roster_.active_workers();
  for (const Member& member : roster_.all()) start.allowed.push_back(member.public_key);
  start.allowed.push_back(doors_.keys().public_key);
  send_recording();
  for (Member& reader : roster_.all())
    if (reader.active) doors_.send(reader.address, wire::Type::start, pack(start_of(reader, start)));
  for (int cell = 0; cell < plan_.grid.cells(); ++cell)
    for (int m = 0; m < plan_.of_cell(cell).owners(); ++m)
      load(cell, m, roster_.owner(plan_, cell, m), states_[static_cast<std::size_t>(cell)]);
  for (int m = 0; m < plan_.servers; ++m)
    if (const Member* standby = roster_.standby(m)) load(0, m, *standby, states_.front());
  training_ = true;
  for (Member& member : roster_.all()) member.last_beat = Clock::now();
  course_.tracker().begin(state.clocks, state.applied_rows);
  cut_calls_.begin(started_with_ = state.applied_rows);
  admit_next();
}

/// The order of events that servers are to repeat, if there is one. Each is known by its number in the run here, and by
/// that in its cell there.
void Coordinator::send_recording() {
  constexpr std::size_t at_once = 10000;
  std::vector<sync::Event> events;
  for (int m = 0; m < plan_.servers && !course_.request().recording.empty(); ++m) {
    const Member& server = roster_.server(m);
    const int first = first_owner(cell_of(server));
    events.clear();
    for (sync::Event event : course_.request().recording)
      if (event.server == m) event.server -= first, events.push_back(event);
    for (std::size_t at = 0; at < events.size(); at += at_once)
      doors_.send(server.address, wire::Type::traced,
                  pack(std::span(events).subspan(at, std::min(at_once, events.size() - at))));
  }
}

/// Weights and moments go to their owners from here, fresh or from a checkpoint: one way in. What is a worker's own
/// goes first, so that it is there when the server answers.
void Coordinator::load(int cell, int owner, const Member& member, const store::State& state) {
  const plan::Plan& plan = plan_.of_cell(cell);
  const std::string endpoint = split(member.data_endpoint, ' ').front();
  const wire::Keys keys = wire::connecting_keys(doors_.keys(), member.public_key);
  const bool secure = doors_.secure() && endpoint.starts_with("tcp://");
  wire::Socket& socket =
      data_.emplace_back(context_, wire::Socket::Pattern::dealer, "coordinator", secure ? &keys : nullptr);
  socket.tell_losses();
  connections_.watch(socket, member.name());
  if (endpoint.starts_with("ipc://")) socket.share(memory_);
  socket.connect(endpoint);
  for (std::size_t r = 0; r < state.own.size(); ++r) {
    if (plan.peers() && static_cast<int>(r) != owner) continue;
    load_arena(plan, owner, 0, state.own[r].weights, r + 1);
    for (std::size_t k = 0; k < state.own[r].moments.size(); ++k)
      load_arena(plan, owner, k + 1, state.own[r].moments[k], r + 1);
  }
  load_arena(plan, owner, 0, state.weights, 0);
  for (std::size_t k = 0; k < state.moments.size(); ++k) load_arena(plan, owner, k + 1, state.moments[k], 0);
}

/// An owner's slice of it; all of it to workers without servers, who compute with all weights. `worker`: whose own it
/// is, plus 1; 0: the owner's.
void Coordinator::load_arena(const plan::Plan& plan, int owner, std::size_t index, const Arena& arena,
                             std::size_t worker) {
  for (int m = 0; m < plan.owners(); ++m)
    if (m == owner || plan.peers())
      for (const plan::Piece& piece : plan.slices[static_cast<std::size_t>(m)].pieces)
        load_piece(piece, index, arena, worker);
}

void Coordinator::load_piece(const plan::Piece& piece, std::size_t index, const Arena& arena, std::size_t worker) {
  wire::Header header;
  header.type = wire::Type::load;
  header.slice = static_cast<std::uint32_t>(index);
  header.offset = static_cast<std::uint64_t>(piece.offset);
  header.count = static_cast<std::uint64_t>(piece.count);
  header.rows = worker;
  data_.back().send_floats(
      doors_.self(), header,
      arena.span().subspan(static_cast<std::size_t>(piece.offset), static_cast<std::size_t>(piece.count)), loading_);
}

}  // namespace dtrain::role
