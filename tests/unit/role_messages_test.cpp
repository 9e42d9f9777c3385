#include <doctest/doctest.h>

#include <filesystem>
#include <limits>

#include "../fuzz/message_door.hpp"
#include "base/file.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

namespace fs = std::filesystem;

fs::path corpus() {
  const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  return (build / __FILE__).parent_path().parent_path() / "fuzz" / "corpus" / "message";
}

/// One of each kind, as its sender packs it.
std::vector<std::string> sound_messages() {
  Welcome welcome;
  welcome.job_text = "name: x\n";
  welcome.host = {"a", 2, 1000};
  welcome.encoding.width = 3;
  welcome.encoding.shift = {0, 1, 2}, welcome.encoding.scale = {1, 1, 2};
  welcome.bind = {"ipc://a", "tcp://127.0.0.1:*"};
  welcome.chaos = "kill:worker.1@40,seed=7", welcome.life = 2;
  Start start;
  start.endpoints = {"ipc://a"}, start.keys = {""}, start.names = {"server 0"};
  start.clocks = {3, 4};
  start.own_since = {{1, 0.5}, {2, 1e-300}};
  Cut cut;
  cut.clocks = {1, 2}, cut.memory = {0.1}, cut.worklist = {5, -1};
  Membership membership;
  membership.active = {0, 2}, membership.undone = {1};
  Tally tally;
  tally.staleness = {1, 2}, tally.bounds = {{"staleness", 3}}, tally.seconds = 0.1;
  sync::Event event{};
  Keep keep;
  keep.pushes = {{1, 7, 32, std::numeric_limits<double>::quiet_NaN(), 0.5}};
  keep.save_after = 9, keep.ledger.pulled = {1, 2}, keep.events = {event};
  TakeOver told;
  told.name = "standby 0", told.endpoint = "ipc://a", told.snapshots = {8, 16};
  Coming coming;
  coming.rank = 2, coming.public_key = "key";
  return {"p" + pack(ProgressReport{7, Phase::computing, {{7, 0.25, 32}}}),
          "j" + pack(Join{wire::Role::worker, "host", 4, 77, "worker 1", "secret", "key"}),
          "w" + pack(welcome),
          "r" + pack(Ready{{"ipc://a"}, {}}),
          "s" + pack(start),
          "c" + pack(cut),
          "f" + pack(Frozen{9, true}),
          "h" + pack(Confession{"kill:worker.1@40", 39, true}),
          "m" + pack(membership),
          "b" + pack(Changed{"period", 3, 4, 5}),
          "t" + pack(std::span(&event, 1)),
          "e" + pack(Failure{4, "no such file"}),
          "l" + pack(tally),
          "d" + pack(Decision{3, false, {0, 1}, {{1, 4, 5}}, {2}}),
          "g" + pack(coming),
          "k" + pack(keep),
          "o" + pack(told)};
}

}  // namespace

TEST_CASE("every control message survives being written and read") {
  for (const std::string& message : sound_messages()) {
    CAPTURE(message);
    CHECK(doors::try_message(message));
  }
}

TEST_CASE("a control message that was cut anywhere is refused") {
  for (const std::string& message : sound_messages())
    for (std::size_t length = 1; length < message.size(); ++length) {
      if (message.front() == 't' && length == 1) continue;  // no events at all
      CAPTURE(message.substr(0, length));
      CHECK_FALSE(doors::try_message(std::string_view(message).substr(0, length)));
    }
}

TEST_CASE("no input of the fuzzer's corpus breaks a reader of control messages") {
  REQUIRE(fs::is_directory(corpus()));
  for (const auto& entry : fs::directory_iterator(corpus()))
    doors::try_message(read_file(entry.path(), Kind::internal));
}
