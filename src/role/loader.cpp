#include "role/loader.hpp"

#include <algorithm>
#include <deque>
#include <numeric>
#include <optional>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "role/data_doors.hpp"
#include "role/role.hpp"
#include "role/row_parcel.hpp"

namespace dtrain::role {
namespace {

/// What both kinds have in common: who asks, and when it is over.
class Loader {
 public:
  Loader(Link& link, const Welcome& welcome, plan::Plan plan)
      : link_(link), plan_(std::move(plan)), encoding_(welcome.encoding), doors_(link, plan_, welcome) {}
  virtual ~Loader() = default;

  const std::vector<std::string>& endpoints() const { return doors_.endpoints(); }

  void serve(const Start& start) {
    const Clock::time_point began = Clock::now();
    doors_.allow(start.allowed);
    connect(start);
    while (!dismissed_) pump();
    tally_.seconds = seconds_since(began);
    for (const wire::Socket& door : doors_) count_traffic(door, tally_);
    tally_.peak_bytes = peak_bytes();
    link_.send(wire::Type::left, pack(tally_));
  }

 protected:
  virtual void connect(const Start& /*start*/) {}
  virtual void watch(wire::Poller& /*poller*/) {}
  virtual void receive() {}
  virtual void take(std::size_t door, const RowOrder& order, std::vector<std::uint32_t> rows) = 0;

  Link& link_;
  plan::Plan plan_;
  data::Encoding encoding_;
  DataDoors doors_;
  Tally tally_;

 private:
  void pump() {
    {
      const Lap lap(tally_.wait_seconds);
      wire::Poller poller;
      link_.watch(poller);
      doors_.watch(poller);
      watch(poller);
      poller.wait(100);
    }
    while (const auto message = link_.receive()) obey(*message);  // first: whoever connects may just have been told of
    doors_.serve();
    for (std::size_t d = 0; d < doors_.size(); ++d)
      while (const auto message = doors_[d].receive(link_.self().nonce)) hear(*message, d);
    receive();
    link_.beat(0, Phase::serving);
  }

  void obey(const wire::Message& message) {
    if (message.header.type == wire::Type::goodbye) dismissed_ = true;
    if (message.header.type == wire::Type::coming) doors_.allow({unpack_coming(message.text()).public_key});
    if (message.header.type == wire::Type::abort) fail(Kind::lost, "the coordinator ended the run");
  }

  void hear(const wire::Message& message, std::size_t door) {
    auto rows = message.header.type == wire::Type::want ? rows_wanted(message, plan_.facts.train_rows) : std::nullopt;
    if (!rows) {
      ++tally_.refused;
      return link_.tell_refusal("a request for rows that are not here");
    }
    tally_.rows += rows->size();
    ++tally_.steps;
    take(door, RowOrder::of(message), std::move(*rows));
  }

  bool dismissed_ = false;
};

class Reader final : public Loader {
 public:
  Reader(Link& link, const Welcome& welcome, plan::Plan plan)
      : Loader(link, welcome, std::move(plan)),
        rows_(data::load(plan_.job, encoding_, data::Part::train, plan_.facts.hash)) {}

 private:
  void take(std::size_t door, const RowOrder& order, std::vector<std::uint32_t> rows) override {
    const Lap lap(tally_.read_seconds);
    send_rows(doors_[door], link_.self(), order, *rows_, rows);
  }

  std::unique_ptr<data::Rows> rows_;
};

/// Orders are passed on to its reader, some at a time, and answered in turn.
class Transformer final : public Loader {
 public:
  Transformer(Link& link, const Welcome& welcome, plan::Plan plan)
      : Loader(link, welcome, std::move(plan)),
        reader_(welcome.rank - plan_.readers()),
        connections_(link.context(), Seconds(plan_.job.faults.join_within)) {}

 private:
  struct Pending {
    std::size_t door = 0;
    RowOrder order;
    std::vector<std::uint32_t> rows;
    RowParcel parcel{};
  };

  void connect(const Start& start) override {
    const std::string identity = "transformer-" + hex(link_.self().incarnation);
    source_.emplace(connect_data(link_, plan_, row_address(plan_, start, reader_), identity, connections_));
  }
  void watch(wire::Poller& poller) override { poller.add(*source_); }

  void take(std::size_t door, const RowOrder& order, std::vector<std::uint32_t> rows) override {
    pending_.push_back({door, order, std::move(rows)});
    ask();
  }

  /// Numbers are those of the orders since the start: the front's is `answered_`.
  void ask() {
    const std::uint64_t bound = answered_ + static_cast<std::uint64_t>(plan_.ahead());
    for (; asked_ < std::min<std::uint64_t>(bound, answered_ + pending_.size()); ++asked_)
      ask_for(*source_, link_.self(), asked_, pending_[asked_ - answered_].rows);
  }

  void receive() override {
    connections_.check();
    while (const auto message = source_->receive(link_.self().nonce)) {
      if (message->header.type != wire::Type::rows || pending_.empty() || message->header.clock != answered_) continue;
      Pending& front = pending_.front();
      if (!front.parcel.add(*message) || !front.parcel.complete()) continue;
      answer(front);
      pending_.pop_front();
      ++answered_;
      ask();
    }
  }

  /// Sparse rows stay so: there is nothing to transform before the worker scales them.
  void answer(Pending& pending) {
    const Lap lap(tally_.transform_seconds);
    const std::unique_ptr<data::Rows> rows = pending.parcel.open(encoding_);
    wire::Socket& door = doors_[pending.door];
    if (!rows->sparse()) return send_encoded(door, link_.self(), pending.order, *rows);
    std::vector<std::uint32_t> all(static_cast<std::size_t>(rows->count()));
    std::iota(all.begin(), all.end(), 0u);
    send_rows(door, link_.self(), pending.order, *rows, all);
  }

  int reader_;
  std::optional<wire::Socket> source_;
  Connections connections_;
  std::deque<Pending> pending_;
  std::uint64_t answered_ = 0, asked_ = 0;
};

std::unique_ptr<Loader> make_loader(Link& link, const Welcome& welcome) {
  plan::Plan plan = plan_of(welcome);
  if (welcome.rank >= plan.readers()) return std::make_unique<Transformer>(link, welcome, std::move(plan));
  return std::make_unique<Reader>(link, welcome, std::move(plan));
}

}  // namespace

void run_loader(const JoinRequest& request) {
  run_role(request, [](Link& link, const Welcome& welcome) {
    const std::unique_ptr<Loader> loader = make_loader(link, welcome);
    link.send(wire::Type::ready, pack(Ready{loader->endpoints(), {}}));
    loader->serve(await_start(link));
  });
}

}  // namespace dtrain::role
