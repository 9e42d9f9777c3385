#include "role/worker.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/division.hpp"
#include "job/read.hpp"
#include "math/gemm.hpp"
#include "model/network.hpp"
#include "plan/plan.hpp"
#include "role/role.hpp"

namespace dtrain::role {
namespace {

/// The weights of one server as they come in, piece by piece.
struct Inflow {
  wire::Socket socket;
  std::vector<std::uint64_t> arrived;  ///< per piece: the clock it is for, plus 1; 0: none yet
  std::uint64_t released = 0;          ///< the same of the last release without weights: a step without rows of ours
  std::uint32_t least_epoch = 0;       ///< older pieces were taken back
};

class Worker final : public model::LayerEvents {
 public:
  Worker(Link& link, const Welcome& welcome)
      : link_(link),
        plan_(plan_of(welcome, link.request().data_dir)),
        rank_(welcome.rank),
        rows_(data::load(plan_.job, welcome.encoding, data::Part::train, plan_.facts.hash)),
        division_(plan_.job, plan_.facts.train_rows, everyone(plan_.workers)),
        network_(plan_.job.model, plan_.width, plan_.worker_rows(), plan_.threads),
        weights_(plan_.layout.total),
        gradient_(plan_.layout.total),
        features_(plan_.worker_rows() * plan_.width),
        targets_(static_cast<std::size_t>(plan_.worker_rows())),
        connections_(link.context(), Seconds(plan_.job.faults.join_within)) {}

  void connect(const Start& start);
  void train();
  void leave();

  bool before_forward(int layer) override;
  bool after_backward(int layer) override;

 private:
  enum class Outcome { done, again, stopped };
  Outcome step();
  Outcome idle_step();
  model::Batch<float> gather();
  bool await_layers(int first, int last);
  bool have_layers(int first, int last) const;
  bool interrupted() const { return stopping_ || restart_; }
  void poll(int timeout_ms, Phase phase);
  void drain();
  void take(std::size_t server, const wire::Message& message);
  void obey(const wire::Message& message);
  void adopt_memberships();
  void tell_servers(wire::Type type);
  void wait_until_sent();
  void send_push(std::size_t server, std::size_t piece);

  Link& link_;
  plan::Plan plan_;
  int rank_;
  std::unique_ptr<data::Rows> rows_;
  data::Division division_;
  model::Network<float> network_;
  Arena weights_, gradient_, features_;
  std::vector<float> targets_;
  std::span<const std::uint32_t> batch_rows_;
  wire::InFlight sending_;  ///< outlived by the gradient, and outlives the sockets
  std::deque<Inflow> servers_;
  Connections connections_;
  std::uint64_t clock_ = 0;
  bool has_rows_ = true;                ///< in the step of this clock
  std::deque<Membership> memberships_;  ///< told, not yet adopted
  std::uint32_t newest_epoch_ = 0;      ///< seen on weights
  bool stopping_ = false, restart_ = false, mark_wanted_ = false, dismissed_ = false;
  double wait_seconds_ = 0, communicate_seconds_ = 0, step_seconds_ = 0;
  Tally tally_;
};

void Worker::connect(const Start& start) {
  clock_ = start.clocks.at(static_cast<std::size_t>(rank_));
  const std::string identity = "worker-" + std::to_string(rank_) + "-" + hex(link_.self().incarnation);
  for (std::size_t m = 0; m < start.endpoints.size(); ++m) {
    Inflow& inflow = servers_.emplace_back(
        Inflow{connect_data(link_, start, static_cast<int>(m), identity, connections_), {}, 0, 0});
    inflow.arrived.assign(plan_.slices[m].pieces.size(), 0);
  }
  tell_servers(wire::Type::pull);
}

void Worker::train() {
  while (!stopping_ && clock_ < static_cast<std::uint64_t>(plan_.total_steps)) {
    adopt_memberships();
    restart_ = false;
    if (mark_wanted_) tell_servers(wire::Type::mark), mark_wanted_ = false;
    const Clock::time_point start = Clock::now();
    has_rows_ = division_.count(static_cast<Index>(clock_), rank_) > 0;
    const Outcome outcome = has_rows_ ? step() : idle_step();
    step_seconds_ += seconds_since(start);
    if (outcome != Outcome::done) continue;
    ++clock_, ++tally_.steps;
  }
  // The last push is answered too: only then is everything that belongs to this rank applied and counted.
  has_rows_ = true;
  const int layers = static_cast<int>(plan_.layout.layers.size());
  while (!stopping_ && !await_layers(0, layers - 1)) restart_ = false;
}

model::Batch<float> Worker::gather() {
  batch_rows_ = division_.rows(static_cast<Index>(clock_), rank_);
  const auto count = static_cast<Index>(batch_rows_.size());
  const Matrix features(features_.data(), count, plan_.width);
  const std::span<float> targets(targets_.data(), batch_rows_.size());
  rows_->gather(batch_rows_, features, targets);
  return {features, targets, batch_rows_};
}

Worker::Outcome Worker::step() {
  const model::Batch<float> batch = gather();
  const model::DropoutKey dropout{plan_.job.seed, division_.epoch_of(static_cast<Index>(clock_))};
  wait_until_sent();
  if (interrupted()) return stopping_ ? Outcome::stopped : Outcome::again;
  const auto result = network_.train_step(batch, weights_.span(), gradient_.span(), dropout, *this,
                                          static_cast<int>(plan_.job.train.micro_batches));
  if (!result.completed) return stopping_ ? Outcome::stopped : Outcome::again;
  if (plan_.job.train.on_nonfinite == job::OnNonfinite::stop && !std::isfinite(result.loss_sum))
    fail(Kind::diverged,
         "the loss of step {} is not finite on worker {}; a lower train.optimizer.learning_rate or "
         "train.clip_norm may help",
         clock_ + 1, rank_);
  tally_.rows += batch_rows_.size();
  link_.record({clock_, result.loss_sum, batch_rows_.size()});
  link_.beat(clock_, Phase::computing);
  return Outcome::done;
}

/// A step in which this rank has no rows: it says so, once it has been released into it.
Worker::Outcome Worker::idle_step() {
  if (!await_layers(0, static_cast<int>(plan_.layout.layers.size()) - 1))
    return stopping_ ? Outcome::stopped : Outcome::again;
  tell_servers(wire::Type::push);
  link_.record({clock_, 0, 0});
  return Outcome::done;
}

bool Worker::before_forward(int layer) {
  link_.beat(clock_, Phase::computing);
  return await_layers(layer, layer);
}

bool Worker::after_backward(int layer) {
  const Lap lap(communicate_seconds_);
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    const std::vector<plan::Piece>& pieces = plan_.slices[m].pieces;
    for (std::size_t p = 0; p < pieces.size(); ++p)
      if (pieces[p].first_layer == layer) send_push(m, p);
  }
  link_.beat(clock_, Phase::computing);
  return true;
}

void Worker::send_push(std::size_t server, std::size_t piece) {
  const plan::Piece& at = plan_.slices[server].pieces[piece];
  wire::Header header;
  header.type = wire::Type::push;
  header.slice = static_cast<std::uint32_t>(server);
  header.clock = clock_;
  header.piece = static_cast<std::uint32_t>(piece);
  header.pieces = static_cast<std::uint32_t>(plan_.slices[server].pieces.size());
  header.offset = static_cast<std::uint64_t>(at.offset);
  header.count = static_cast<std::uint64_t>(at.count);
  header.rows = batch_rows_.size();
  const std::span<const float> values =
      std::as_const(gradient_).span().subspan(static_cast<std::size_t>(at.offset), static_cast<std::size_t>(at.count));
  servers_[server].socket.send_floats(link_.self(), header, values, sending_);
}

/// The gradient may be written again only when ZeroMQ has let go of it.
void Worker::wait_until_sent() {
  const Lap lap(wait_seconds_);
  while (!sending_.idle() && !interrupted()) {
    drain();
    if (sending_.idle()) return;
    poll(1, Phase::waiting);
  }
}

bool Worker::have_layers(int first, int last) const {
  if (newest_epoch_ > link_.self().epoch) return false;  // weights of a membership that we have not been told of
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    if (!has_rows_ && servers_[m].released == clock_ + 1) continue;
    const std::vector<plan::Piece>& pieces = plan_.slices[m].pieces;
    for (std::size_t p = 0; p < pieces.size(); ++p)
      if (pieces[p].first_layer <= last && pieces[p].last_layer >= first && servers_[m].arrived[p] != clock_ + 1)
        return false;
  }
  return true;
}

bool Worker::await_layers(int first, int last) {
  while (!have_layers(first, last)) {
    {
      const Lap lap(communicate_seconds_);
      drain();
    }
    if (interrupted()) return false;
    if (have_layers(first, last)) break;
    const Lap lap(wait_seconds_);
    poll(100, Phase::waiting);
  }
  return true;
}

/// Waits until something comes, and says what for.
void Worker::poll(int timeout_ms, Phase phase) {
  wire::Poller poller;
  link_.watch(poller);
  for (Inflow& inflow : servers_) poller.add(inflow.socket);
  poller.wait(timeout_ms);
  link_.beat(clock_, phase);
}

void Worker::drain() {
  connections_.check();
  while (const auto message = link_.receive()) obey(*message);
  for (std::size_t m = 0; m < servers_.size(); ++m)
    while (const auto message = servers_[m].socket.receive(link_.self().nonce)) take(m, *message);
}

void Worker::take(std::size_t server, const wire::Message& message) {
  const wire::Header& header = message.header;
  Inflow& inflow = servers_[server];
  if (header.type != wire::Type::weights || header.epoch < inflow.least_epoch) return;
  newest_epoch_ = std::max(newest_epoch_, header.epoch);
  if (header.count == 0) {  // a release into a step without rows of ours
    inflow.released = header.clock + 1;
    return;
  }
  const std::vector<plan::Piece>& pieces = plan_.slices[server].pieces;
  if (header.piece >= pieces.size()) return;
  const plan::Piece& piece = pieces[header.piece];
  if (header.offset != static_cast<std::uint64_t>(piece.offset) ||
      header.count != static_cast<std::uint64_t>(piece.count))
    return;
  std::memcpy(weights_.data() + piece.offset, message.payload.data(), message.payload.size());
  inflow.arrived[header.piece] = header.clock + 1;
}

void Worker::obey(const wire::Message& message) {
  switch (message.header.type) {
    case wire::Type::stop: stopping_ = true; return;
    case wire::Type::save: mark_wanted_ = true; return;
    case wire::Type::goodbye: dismissed_ = true; return;
    case wire::Type::abort: fail(Kind::lost, "the coordinator ended the run");
    case wire::Type::membership: {
      const Membership& told = memberships_.emplace_back(unpack_membership(message.text()));
      link_.set_epoch(told.epoch);
      for (const int m : told.undone) {
        Inflow& inflow = servers_.at(static_cast<std::size_t>(m));
        inflow.least_epoch = told.epoch;
        std::replace(inflow.arrived.begin(), inflow.arrived.end(), told.step + 2, std::uint64_t{0});
        if (inflow.released == told.step + 2) inflow.released = 0;
      }
      if (told.step + 1 == clock_) restart_ = true;
      return;
    }
    default: return;
  }
}

void Worker::adopt_memberships() {
  const bool gated = plan_.job.sync.policy == job::PolicyName::bsp;
  while (!memberships_.empty() && !(gated && clock_ <= memberships_.front().step)) {
    division_.set_active(memberships_.front().active);
    memberships_.pop_front();
  }
}

/// A message without payload, about this clock: a push without rows, a mark, a leave.
void Worker::tell_servers(wire::Type type) {
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    wire::Header header;
    header.type = type;
    header.slice = static_cast<std::uint32_t>(m);
    header.clock = clock_;
    servers_[m].socket.send(link_.self(), header, std::string_view());
  }
}

void Worker::leave() {
  tell_servers(wire::Type::leave);
  for (const Inflow& inflow : servers_) {
    tally_.payload_sent += inflow.socket.counters().payload_sent;
    tally_.wire_sent += inflow.socket.counters().wire_sent;
  }
  link_.flush(clock_, Phase::leaving);
  tally_.wait_seconds = wait_seconds_;
  tally_.communicate_seconds = communicate_seconds_;
  tally_.compute_seconds = std::max(0.0, step_seconds_ - wait_seconds_ - communicate_seconds_);
  // The last weights are still on their way: they are counted when the coordinator says good-bye.
  while (!dismissed_) {
    poll(100, Phase::leaving);
    drain();
  }
  for (const Inflow& inflow : servers_) {
    tally_.payload_received += inflow.socket.counters().payload_received;
    tally_.wire_received += inflow.socket.counters().wire_received;
    tally_.refused += inflow.socket.refused();
  }
  tally_.peak_bytes = peak_bytes();
  link_.send(wire::Type::left, pack(tally_));
}

}  // namespace

void run_worker(const JoinRequest& request) {
  run_role(request, [](Link& link, const Welcome& welcome) {
    Worker worker(link, welcome);
    link.send(wire::Type::ready, pack(Ready{}));
    worker.connect(await_start(link));
    worker.train();
    worker.leave();
  });
}

}  // namespace dtrain::role
