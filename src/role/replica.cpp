#include "role/replica.hpp"

#include <algorithm>
#include <cstring>

#include "base/error.hpp"

namespace dtrain::role {
namespace {

constexpr Index most_floats = 4 << 20;  // of a message: a quarter of what one may have

std::size_t kind_of(wire::Type type) {
  switch (type) {
    case wire::Type::activations: return 0;
    case wire::Type::output_gradient: return 1;
    case wire::Type::group_part: return 2;
    case wire::Type::squares: return 3;
    default: return 4;
  }
}

}  // namespace

Replica::Replica(Link& link, const model::Cell& cell, std::function<bool()> wait)
    : link_(link),
      cell_(cell),
      wait_(std::move(wait)),
      others_(static_cast<std::size_t>(cell.stages * cell.ranks)),
      blocks_(static_cast<std::size_t>(cell.ranks)),
      views_(blocks_.size()) {}

/// To the stages below and above, rank by rank, and to all of our group; to the leader, and from it, who may end the
/// run, to all.
void Replica::connect(const plan::Plan& plan, const Start& start, const std::string& identity,
                      Connections& connections) {
  for (int stage = 0; stage < cell_.stages; ++stage)
    for (int rank = 0; rank < cell_.ranks; ++rank) {
      const bool beside = std::abs(stage - cell_.stage) == 1 && rank == cell_.rank;
      const bool ours = stage == cell_.stage && rank != cell_.rank;
      const bool leader = stage == 0 && rank == 0;
      const bool self = stage == cell_.stage && rank == cell_.rank;
      if (self || !(beside || ours || leader || leads())) continue;
      const auto index = static_cast<std::size_t>(stage * cell_.ranks + rank);
      const DataAddress address{start.replica_names.at(index), start.replica.at(index), start.replica_keys.at(index)};
      at(stage, rank).socket =
          std::make_unique<wire::Socket>(connect_data(link_, plan, address, identity, connections));
    }
}

void Replica::begin(sync::Clock clock, bool wish) {
  clock_ = clock;
  if (leads() && wish && !wished_) wished_ = clock;
  exchanges_ = 0;
  inputs_.clear();
}

bool Replica::agree() {
  if (!leads()) {
    Queue& queue = at(0, 0).queues[kind_of(wire::Type::go)];
    if (!await(queue)) return false;
    check(queue.front().header, 0, 0, 0);
    queue.pop_front();
    return true;
  }
  wire::Header header;
  header.type = wire::Type::go;
  header.clock = clock_;
  header.note = marked(clock_);
  for (Other& other : others_)
    if (other.socket) other.socket->send(link_.self(), header, std::string_view());
  return true;
}

void Replica::halt(sync::Clock clock) {
  if (halted_) return;
  halted_ = clock;
  wire::Header header;
  header.type = wire::Type::halt;
  header.clock = clock;
  for (Other& other : others_)
    if (other.socket) other.socket->send(link_.self(), header, std::string_view());
}

void Replica::mark(sync::Clock clock, std::uint64_t ordinal) {
  mark_ = {clock, ordinal};
  wire::Header header;
  header.type = wire::Type::mark;
  header.clock = clock;
  header.note = ordinal;
  for (Other& other : others_)
    if (other.socket) other.socket->send(link_.self(), header, std::string_view());
}

/// Whether its sender has anything of that kind to tell us.
bool Replica::expects(const wire::Header& header) const {
  using wire::Type;
  const bool ours = header.sender_role == wire::Role::worker && header.sender_rank == link_.self().rank;
  if (!ours || header.slice >= others_.size() || static_cast<int>(header.slice) == own_cell()) return false;
  const int stage = static_cast<int>(header.slice) / cell_.ranks, rank = static_cast<int>(header.slice) % cell_.ranks;
  switch (header.type) {
    case Type::activations: return stage == cell_.stage - 1 && rank == cell_.rank;
    case Type::output_gradient: return stage == cell_.stage + 1 && rank == cell_.rank;
    case Type::group_part: return stage == cell_.stage;
    case Type::squares: return (leads() || header.slice == 0) && header.payload == sizeof(double);
    case Type::halt:
    case Type::mark:
    case Type::go: return header.slice == 0;
    default: return false;
  }
}

bool Replica::take(wire::Message& message) {
  const wire::Header& header = message.header;
  if (!expects(header)) return false;
  if (header.type == wire::Type::halt) {
    if (!halted_) halted_ = header.clock;
    return true;
  }
  if (header.note > mark_.ordinal) mark_ = {header.clock, header.note};
  if (header.type == wire::Type::mark) return true;
  const bool floats = !wire::hashes_payload(header.type);
  if (floats && (header.codec != 0 || message.size() != sizeof(float) * header.count)) return false;
  if (header.due != 0) wished_ = std::min(wished_.value_or(header.clock), header.clock);
  if (floats) received_ += message.size();
  others_[header.slice].queues[kind_of(header.type)].push_back(std::move(message));
  return true;
}

void Replica::watch(wire::Poller& poller) {
  for (Other& other : others_)
    if (other.socket) poller.add(*other.socket);
}

void Replica::count(Tally& tally) const {
  Tally own;
  for (const Other& other : others_)
    if (other.socket) count_traffic(*other.socket, own);
  tally.replica_sent += own.payload_sent, tally.replica_received += received_;
  tally.wire_sent += own.wire_sent, tally.wire_received += own.wire_received;
  tally.refused += own.refused;
  tally.payload_received -= received_;
}

Replica::Outgoing& Replica::copied(ConstMatrix values) {
  const Index count = values.rows * values.cols;
  auto free = std::find_if(outgoing_.begin(), outgoing_.end(),
                           [count](const Outgoing& out) { return out.values.size() >= count && out.in_flight.idle(); });
  if (free == outgoing_.end()) {
    outgoing_.emplace_back().values = link_.memory().arena(count);
    free = std::prev(outgoing_.end());
  }
  for (Index r = 0; r < values.rows; ++r)
    std::copy_n(values.row(r), values.cols, free->values.data() + r * values.cols);
  return *free;
}

void Replica::send(Other& to, wire::Type type, std::uint32_t number, ConstMatrix shape, Outgoing& values) {
  const Index count = shape.rows * shape.cols;
  wire::Header header;
  header.type = type;
  header.clock = clock_;
  header.slice = static_cast<std::uint32_t>(own_cell());
  header.piece = number, header.pieces = number + 1;
  header.due = wish();
  header.note = marked(clock_);
  for (Index first = 0; first < count; first += most_floats) {
    header.offset = static_cast<std::uint64_t>(first);
    header.count = static_cast<std::uint64_t>(std::min(most_floats, count - first));
    to.socket->send_floats(link_.self(), header, values.values.span().subspan(header.offset, header.count),
                           values.in_flight);
  }
}

bool Replica::await(const Queue& queue) {
  while (queue.empty())
    if (halted(clock_) || !wait_()) return false;
  return true;
}

void Replica::check(const wire::Header& header, std::uint32_t number, Index offset, Index count) const {
  if (header.clock == clock_ && header.piece == number && header.offset == static_cast<std::uint64_t>(offset) &&
      header.count <= static_cast<std::uint64_t>(count - offset))
    return;
  fail(Kind::internal, "cell {} sent number {} of step {} (floats {} to {}) where number {} of step {} was due",
       header.slice, header.piece, header.clock + 1, header.offset, header.offset + header.count, number, clock_ + 1);
}

/// What came in one message stays where it lies.
std::optional<Replica::Incoming> Replica::receive(Other& from, wire::Type type, std::uint32_t number, Index rows,
                                                  Index cols) {
  const Index count = rows * cols;
  Queue& queue = from.queues[kind_of(type)];
  std::shared_ptr<float[]> whole;
  for (Index got = 0; got < count;) {
    if (!await(queue)) return std::nullopt;
    wire::Message message = std::move(queue.front());
    queue.pop_front();
    check(message.header, number, got, count);
    const auto floats = static_cast<Index>(message.header.count);
    if (got == 0 && floats == count) return Incoming{floats_of(std::move(message)), static_cast<int>(number)};
    if (!whole) whole = std::make_shared<float[]>(static_cast<std::size_t>(count));
    std::memcpy(whole.get() + got, message.data(), message.size());
    got += floats;
  }
  return Incoming{{whole, whole.get()}, static_cast<int>(number)};
}

/// The leader adds up.
double Replica::sum(double own) {
  wire::Header header;
  header.type = wire::Type::squares;
  header.clock = clock_;
  header.slice = static_cast<std::uint32_t>(own_cell());
  const auto tell = [&](Other& other, double value) {
    other.socket->send(link_.self(), header, std::as_bytes(std::span(&value, 1)));
  };
  const auto hear = [&](Other& other) {
    Queue& queue = other.queues[kind_of(header.type)];
    if (!await(queue)) fail(Kind::internal, "step {} was given up after it had begun", clock_ + 1);
    if (queue.front().header.clock != clock_) check(queue.front().header, 0, 0, 0);
    double value = 0;
    std::memcpy(&value, queue.front().data(), sizeof value);
    queue.pop_front();
    return value;
  };
  if (!leads()) {
    tell(at(0, 0), own);
    return hear(at(0, 0));
  }
  for (Other& other : others_)
    if (other.socket) own += hear(other);
  for (Other& other : others_)
    if (other.socket) tell(other, own);
  return own;
}

std::function<double(double)> over_cells(Replica* replica) {
  if (replica == nullptr) return {};
  return [replica](double own) { return replica->sum(own); };
}

std::optional<ConstMatrix> Replica::take_inputs(int micro, Index rows, Index cols) {
  auto came =
      receive(at(cell_.stage - 1, cell_.rank), wire::Type::activations, static_cast<std::uint32_t>(micro), rows, cols);
  if (!came) return std::nullopt;
  inputs_.push_back(std::move(*came));
  return ConstMatrix(inputs_.back().values.get(), rows, cols);
}

void Replica::give_outputs(int micro, ConstMatrix outputs) {
  send(at(cell_.stage + 1, cell_.rank), wire::Type::activations, static_cast<std::uint32_t>(micro), outputs,
       copied(outputs));
}

std::optional<ConstMatrix> Replica::take_output_gradient(int micro, Index rows, Index cols) {
  auto came = receive(at(cell_.stage + 1, cell_.rank), wire::Type::output_gradient, static_cast<std::uint32_t>(micro),
                      rows, cols);
  if (!came) return std::nullopt;
  delta_ = std::move(*came);
  return ConstMatrix(delta_.values.get(), rows, cols);
}

void Replica::give_input_gradient(int micro, ConstMatrix delta) {
  send(at(cell_.stage - 1, cell_.rank), wire::Type::output_gradient, static_cast<std::uint32_t>(micro), delta,
       copied(delta));
}

void Replica::done(int micro) {
  std::erase_if(inputs_, [micro](const Incoming& in) { return in.micro == micro; });
}

std::optional<std::span<const ConstMatrix>> Replica::exchange(ConstMatrix own, std::span<const Index> cols) {
  const std::uint32_t number = exchanges_++;
  const auto self = static_cast<std::size_t>(cell_.rank);
  views_[self] = own;
  if (cols[self] > 0) {
    Outgoing& ours = copied(own);
    for (int rank = 0; rank < cell_.ranks; ++rank)
      if (rank != cell_.rank) send(at(cell_.stage, rank), wire::Type::group_part, number, own, ours);
  }
  for (int rank = 0; rank < cell_.ranks; ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    if (rank == cell_.rank) continue;
    blocks_[r] = {};
    views_[r] = {nullptr, own.rows, 0};
    if (cols[r] == 0) continue;
    auto came = receive(at(cell_.stage, rank), wire::Type::group_part, number, own.rows, cols[r]);
    if (!came) return std::nullopt;
    blocks_[r] = std::move(*came);
    views_[r] = {blocks_[r].values.get(), own.rows, cols[r]};
  }
  return std::span<const ConstMatrix>(views_);
}

}  // namespace dtrain::role
