#include "role/replica.hpp"

#include <algorithm>
#include <cstring>

#include "base/error.hpp"

namespace dtrain::role {
namespace {

constexpr Index most_floats = 4 << 20;  // of a message: a quarter of what one may have

std::size_t kind_of(wire::Type type) { return type == wire::Type::outputs ? 0 : type == wire::Type::delta ? 1 : 2; }

}  // namespace

Replica::Replica(Link& link, const model::Cell& cell, std::function<bool()> wait)
    : link_(link),
      cell_(cell),
      wait_(std::move(wait)),
      others_(static_cast<std::size_t>(cell.stages * cell.ranks)),
      blocks_(static_cast<std::size_t>(cell.ranks)),
      views_(blocks_.size()) {}

/// To the stages below and above, rank by rank, and to all of our group. The leader, who may end the run, to all.
void Replica::connect(const plan::Plan& plan, const Start& start, const std::string& identity,
                      Connections& connections) {
  for (int stage = 0; stage < cell_.stages; ++stage)
    for (int rank = 0; rank < cell_.ranks; ++rank) {
      const bool beside = std::abs(stage - cell_.stage) == 1 && rank == cell_.rank;
      const bool ours = stage == cell_.stage && rank != cell_.rank;
      const bool self = stage == cell_.stage && rank == cell_.rank;
      if (self || !(beside || ours || leads())) continue;
      const auto index = static_cast<std::size_t>(stage * cell_.ranks + rank);
      const DataAddress address{start.replica_names.at(index), start.replica.at(index), start.replica_keys.at(index)};
      at(stage, rank).socket =
          std::make_unique<wire::Socket>(connect_data(link_, plan, address, identity, connections));
    }
}

void Replica::begin(sync::Clock clock, bool wish) {
  clock_ = clock;
  wish_ = wish_ || (leads() && wish);
  exchanges_ = 0;
  inputs_.clear();
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

bool Replica::take(wire::Message& message) {
  const wire::Header& header = message.header;
  using wire::Type;
  if (header.type == Type::halt) {
    halted_ = header.clock;
    return true;
  }
  if (header.type != Type::outputs && header.type != Type::delta && header.type != Type::block) return false;
  if (header.slice >= others_.size()) return false;
  wish_ = wish_ || header.due != 0;
  received_ += message.size();
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
  header.slice = static_cast<std::uint32_t>(cell_.stage * cell_.ranks + cell_.rank);
  header.piece = number, header.pieces = number + 1;
  header.due = wish_;
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

std::optional<ConstMatrix> Replica::take_inputs(int micro, Index rows, Index cols) {
  auto came =
      receive(at(cell_.stage - 1, cell_.rank), wire::Type::outputs, static_cast<std::uint32_t>(micro), rows, cols);
  if (!came) return std::nullopt;
  inputs_.push_back(std::move(*came));
  return ConstMatrix(inputs_.back().values.get(), rows, cols);
}

void Replica::give_outputs(int micro, ConstMatrix outputs) {
  send(at(cell_.stage + 1, cell_.rank), wire::Type::outputs, static_cast<std::uint32_t>(micro), outputs,
       copied(outputs));
}

std::optional<ConstMatrix> Replica::take_delta(int micro, Index rows, Index cols) {
  auto came =
      receive(at(cell_.stage + 1, cell_.rank), wire::Type::delta, static_cast<std::uint32_t>(micro), rows, cols);
  if (!came) return std::nullopt;
  delta_ = std::move(*came);
  return ConstMatrix(delta_.values.get(), rows, cols);
}

void Replica::give_delta(int micro, ConstMatrix delta) {
  send(at(cell_.stage - 1, cell_.rank), wire::Type::delta, static_cast<std::uint32_t>(micro), delta, copied(delta));
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
      if (rank != cell_.rank) send(at(cell_.stage, rank), wire::Type::block, number, own, ours);
  }
  for (int rank = 0; rank < cell_.ranks; ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    if (rank == cell_.rank) continue;
    blocks_[r] = {};
    views_[r] = {nullptr, own.rows, 0};
    if (cols[r] == 0) continue;
    auto came = receive(at(cell_.stage, rank), wire::Type::block, number, own.rows, cols[r]);
    if (!came) return std::nullopt;
    blocks_[r] = std::move(*came);
    views_[r] = {blocks_[r].values.get(), own.rows, cols[r]};
  }
  return std::span<const ConstMatrix>(views_);
}

}  // namespace dtrain::role
