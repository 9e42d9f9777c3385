#include "role/loader.hpp"

#include "base/error.hpp"
#include "role/data_doors.hpp"
#include "role/role.hpp"
#include "role/row_parcel.hpp"
#include "role/stages.hpp"

namespace dtrain::role {
namespace {

class Loader {
 public:
  Loader(Link& link, const Welcome& welcome)
      : link_(link),
        plan_(plan_of(welcome)),
        encoding_(welcome.encoding),
        rows_(data::load(plan_.job, encoding_, data::Part::train, plan_.facts.hash)),
        doors_(link, plan_, welcome) {
    if (plan_.job.data.sharing == job::Sharing::staged && !rows_->sparse())
      stages_.emplace(*rows_, encoding_, static_cast<std::size_t>(plan_.ahead()));
  }

  const std::vector<std::string>& endpoints() const { return doors_.endpoints(); }

  void serve(const Start& start) {
    const Clock::time_point began = Clock::now();
    doors_.allow(start.allowed);
    while (!dismissed_) pump();
    tally_.seconds = seconds_since(began);
    send_tally();
  }

 private:
  void pump() {
    {
      const Lap lap(tally_.wait_seconds);
      wire::Poller poller;
      link_.watch(poller);
      doors_.watch(poller);
      if (stages_) poller.add(stages_->descriptor());
      poller.wait(100);
    }
    doors_.serve();
    while (const auto message = link_.receive()) obey(*message);
    for (std::size_t d = 0; d < doors_.size(); ++d)
      while (const auto message = doors_[d].receive(link_.self().nonce)) take(*message, d);
    while (stages_) {
      const auto batch = stages_->take();
      if (!batch) break;
      send(*batch);
    }
    link_.beat(0, Phase::serving);
  }

  void obey(const wire::Message& message) {
    if (message.header.type == wire::Type::goodbye) dismissed_ = true;
    if (message.header.type == wire::Type::abort) fail(Kind::lost, "the coordinator ended the run");
  }

  void take(const wire::Message& message, std::size_t door) {
    auto rows = message.header.type == wire::Type::want ? rows_wanted(message, rows_->count()) : std::nullopt;
    if (!rows) {
      ++tally_.refused;
      return link_.tell_refusal("a request for rows that are not here");
    }
    tally_.rows += rows->size();
    ++tally_.steps;
    if (stages_) return stages_->put({door, message.peer, message.header.clock, std::move(*rows)});
    const Lap lap(tally_.read_seconds);
    send_rows(doors_[door], link_.self(), message, *rows_, *rows);
  }

  void send(const EncodedBatch& batch) {
    wire::Header header;
    header.type = wire::Type::batch;
    header.clock = batch.order.number;
    header.count = batch.values.size();
    doors_[batch.order.door].send(link_.self(), header, std::as_bytes(std::span(batch.values)), batch.order.peer);
  }

  void send_tally() {
    if (stages_) {
      tally_.read_seconds = stages_->read_seconds();
      tally_.transform_seconds = stages_->transform_seconds();
    }
    for (const wire::Socket& door : doors_) count_traffic(door, tally_);
    tally_.peak_bytes = peak_bytes();
    link_.send(wire::Type::left, pack(tally_));
  }

  Link& link_;
  plan::Plan plan_;
  data::Encoding encoding_;
  std::unique_ptr<data::Rows> rows_;
  DataDoors doors_;
  std::optional<Stages> stages_;
  bool dismissed_ = false;
  Tally tally_;
};

}  // namespace

void run_loader(const JoinRequest& request) {
  run_role(request, [](Link& link, const Welcome& welcome) {
    Loader loader(link, welcome);
    link.send(wire::Type::ready, pack(Ready{loader.endpoints(), {}}));
    loader.serve(await_start(link));
  });
}

}  // namespace dtrain::role
