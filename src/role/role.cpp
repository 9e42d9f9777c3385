#include "role/role.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>

#include "base/error.hpp"
#include "base/log.hpp"
#include "job/read.hpp"
#include "launch/children.hpp"
#include "math/gemm.hpp"

namespace dtrain::role {

namespace {

using Body = std::function<void(Link&, Welcome&)>;

/// False: the run goes back, and this role has to join `anew`.
bool take_part(const JoinRequest& request, const std::optional<wire::Token>& token, bool anew, const Body& body) {
  wire::Context context;
  Link link(context, request, token, anew);
  const auto tell = [&link](Kind kind, const char* what) {
    if (link.is_welcome()) link.send(wire::Type::failed, pack(Failure{static_cast<int>(kind), what}));
  };
  try {
    Welcome welcome = link.join();
    try_shared_memory(link, welcome);
    body(link, welcome);
    return true;
  } catch (const Again&) {
    Log(Level::normal, "dtrain: ").info("the run goes back to its last checkpoint: {} joins anew", link.name());
    return false;
  } catch (const Error& error) {
    tell(error.kind(), error.what());
    throw;
  } catch (const std::bad_alloc&) {
    tell(Kind::environment, "out of memory");
    throw;
  } catch (const std::exception& error) {
    tell(Kind::internal, error.what());
    throw;
  }
}

}  // namespace

void run_role(const JoinRequest& request, const Body& body) {
  if (std::getenv("DTRAIN_TICKET") != nullptr) launch::die_with_parent();
  wire::keep_large_blocks();
  launch::raise_descriptor_limit();
  set_blas_threads(1);
  // Kept for all times: the file may be gone by the next, or have been a descriptor.
  const std::optional<wire::Token> token = token_for(request);
  for (bool anew = false; !take_part(request, token, anew, body);) anew = true;
}

plan::Plan plan_of(const Welcome& welcome, const std::string& data_dir) {
  job::ReadResult read = job::read_job(welcome.job_text, "the coordinator's job");
  if (!read.ok()) fail(Kind::internal, "the coordinator sent a job that cannot be read:\n{}", job::render(read));
  if (!data_dir.empty()) read.job.data.dir = data_dir;
  return plan::make_plan(read.job, welcome.host, welcome.facts, welcome.encoding.width);
}

plan::Plan take_place(Link& link, Welcome& welcome, const plan::Plan& whole) {
  const bool server = link.self().role == wire::Role::server;
  const int cell = server ? whole.cell_of_server(welcome.rank) : whole.grid.cell_of(welcome.rank);
  welcome.rank = server ? welcome.rank % whole.servers_of_cell() : whole.grid.data_of(welcome.rank);
  link.set_rank(welcome.rank);
  return whole.of_cell(cell);
}

std::shared_ptr<const float> floats_of(wire::Message message) {
  const auto kept = std::make_shared<wire::Message>(std::move(message));
  if (reinterpret_cast<std::uintptr_t>(kept->data()) % alignof(float) == 0)
    return {kept, static_cast<const float*>(kept->data())};
  const auto copy = std::make_shared<float[]>(kept->size() / sizeof(float));
  std::memcpy(copy.get(), kept->data(), kept->size());
  return {copy, copy.get()};
}

std::vector<int> absent_from(const plan::Plan& plan, const std::vector<int>& active) {
  std::vector<int> absent;
  for (int rank = 0; rank < plan.places(); ++rank)
    if (!std::binary_search(active.begin(), active.end(), rank)) absent.push_back(rank);
  return absent;
}

sync::Setup setup_of(const plan::Plan& plan, const Start& start) {
  return {.seed = plan.job.seed,
          .total_steps = plan::last_clock(plan),
          .single_until = static_cast<sync::Clock>(plan::single_until_steps(plan)),
          .clocks = start.clocks,
          .memory = start.memory,
          .absent = absent_from(plan, start.active)};
}

Start await_start(Link& link, std::vector<sync::Event>* recording) {
  for (;;) {
    const wire::Message message = link.await(0, Phase::joining);
    if (message.header.type == wire::Type::traced && recording != nullptr)
      if (const auto events = unpack_traced(message.text()))
        recording->insert(recording->end(), events->begin(), events->end());
    if (message.header.type == wire::Type::start) return unpack_start(message.text());
    if (message.header.type == wire::Type::goodbye)
      fail(Kind::formation, "the run was over before this role could take part");
    if (message.header.type == wire::Type::abort) fail(Kind::lost, "the coordinator ended the run before it began");
    if (message.header.type == wire::Type::stop) fail(Kind::lost, "the run was stopped before it began");
  }
}

DataAddress owner_address(const Start& start, int owner) {
  const auto at = static_cast<std::size_t>(owner);
  return {start.names.at(at), start.endpoints.at(at), start.keys.at(at)};
}

std::vector<std::pair<int, DataAddress>> elsewhere(const Start& start, int owners) {
  std::vector<std::pair<int, DataAddress>> others;
  for (int i = 0; i < static_cast<int>(start.everywhere.size()); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (i / owners == start.number / owners) continue;
    others.push_back({i, {start.everywhere_names[at], start.everywhere[at], start.everywhere_keys[at]}});
  }
  return others;
}

DataAddress row_address(const plan::Plan& plan, const Start& start, int source) {
  const auto at = static_cast<std::size_t>(source);
  const int loaders = plan.loaders();
  return {source < loaders ? fmt::format("loader {}", source) : fmt::format("worker {}", source - loaders),
          start.row_endpoints.at(at), start.row_keys.at(at)};
}

wire::Socket connect_data(Link& link, const plan::Plan& plan, const DataAddress& to, const std::string& identity,
                          Connections& connections) {
  const std::string endpoint = reachable(to.endpoint, link.request().endpoint);
  const wire::Keys keys = wire::connecting_keys(link.keys(), to.key);
  const bool secure = !to.key.empty() && endpoint.starts_with("tcp://");
  wire::Socket socket(link.context(), wire::Socket::Pattern::dealer, identity, secure ? &keys : nullptr);
  link.suit_data(socket);
  connections.watch(socket, to.name);
  share_locally(link, plan, endpoint, socket);
  socket.connect(endpoint);
  return socket;
}

void share_locally(Link& link, const plan::Plan& plan, const std::string& endpoint, wire::Socket& socket) {
  const bool wanted =
      plan.job.topology.transport == job::Transport::shared_memory && !plan.job.faults.inject.slows_links();
  if (wanted && endpoint.starts_with("ipc://")) socket.share(link.memory());
}

void try_shared_memory(Link& link, const Welcome& welcome) {
  if (welcome.probe_block == 0) return;
  wire::Header header;
  header.block = welcome.probe_block, header.place = welcome.probe_place;
  header.count = 1;
  const auto read = link.memory().read(header);
  if (const auto* refusal = std::get_if<wire::Refusal>(&read))
    fail(Kind::environment, "roles of this machine cannot share memory: {}; topology.transport: ipc does without it",
         refusal->why);
}

MakeArena shareable(Link& link) {
  return [&memory = link.memory()](Index count) { return memory.arena(count); };
}

std::vector<int> everyone(int n) {
  std::vector<int> ranks(static_cast<std::size_t>(n));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

std::string reachable(const std::string& endpoint, const std::string& coordinator) {
  const std::string prefix = "tcp://";
  const auto host_of = [&prefix](const std::string& text) {
    return text.substr(prefix.size(), text.rfind(':') - prefix.size());
  };
  if (!endpoint.starts_with(prefix) || !coordinator.starts_with(prefix)) return endpoint;
  const std::string host = host_of(endpoint);
  if (host != "*" && host != "0.0.0.0" && host != "[::]") return endpoint;
  return prefix + host_of(coordinator) + endpoint.substr(endpoint.rfind(':'));
}

void count_traffic(const wire::Socket& socket, Tally& tally) {
  const wire::Counters& counters = socket.counters();
  tally.payload_sent += counters.payload_sent;
  tally.payload_received += counters.payload_received;
  tally.wire_sent += counters.wire_sent;
  tally.wire_received += counters.wire_received;
  tally.refused += socket.refused();
}

/// As proc(5) has it: what getrusage(2) tells begins with what whoever started us had when we were forked off.
std::int64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  std::int64_t kilobytes = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) std::sscanf(line.c_str() + 6, "%" SCNd64, &kilobytes);
  return kilobytes * 1024;
}

}  // namespace dtrain::role
