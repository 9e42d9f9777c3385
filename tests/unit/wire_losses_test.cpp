#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "base/random.hpp"
#include "wire/mischief.hpp"
#include "wire/numbers.hpp"
#include "wire/slow_link.hpp"
#include "wire_support.hpp"

using namespace dtrain;
using namespace dtrain::wire;
using namespace dtrain::wire::test;

namespace {

/// Kind and words of what an action throws.
std::pair<Kind, std::string> failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {Kind::done, ""};
}

/// A server and two workers that know each other, by Unix sockets.
struct Three {
  Three() {
    const std::string endpoint = server.bind("ipc://" + (scratch.path / "s").string());
    one.connect(endpoint), two.connect(endpoint);
    one.send(self_of(Role::worker, 1), header_of(Type::pull), std::string_view());
    next(server);
    two.send(self_of(Role::worker, 2), header_of(Type::pull), std::string_view());
    next(server);
  }
  void push(Socket& worker, std::uint32_t rank, std::uint64_t clock) {
    Header header = header_of(Type::touch);
    header.clock = clock;
    worker.send(self_of(Role::worker, rank), header, "rows");
  }
  Scratch scratch;
  Context context;
  Socket server{context, Socket::Pattern::router, ""};
  Socket one{context, Socket::Pattern::dealer, "w1"}, two{context, Socket::Pattern::dealer, "w2"};
};

/// Receives until that throws.
std::pair<Kind, std::string> loss_at(Socket& socket) {
  return failure_of([&] { until({&socket.get()}, [&] { return socket.receive(nonce) && false; }); });
}

}  // namespace

TEST_CASE("of any sequence of numbers, each that is new is taken once, and the missing ones are counted once") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Numbers numbers;
    std::uint64_t highest = 0, missing = 0, taken = 0, duplicates = 0;
    for (std::uint32_t k = 0; k < 200; ++k) {
      const Block draws = draw(seed, Purpose::fault, k, 5);
      const std::uint64_t number = draws[0] % 4 == 0 ? 1 + draws[1] % (highest + 1) : highest + 1 + draws[1] % 8 / 6;
      const Numbers::Arrival arrival = numbers.arrived("a", 7, number);
      CHECK(arrival.duplicate == (number <= highest));
      arrival.duplicate ? ++duplicates : ++taken;
      missing += arrival.missing;
      highest = std::max(highest, number);
    }
    CHECK(taken + missing == highest);
    CHECK(taken + duplicates == 200);
    CHECK(numbers.arrived_all("a", 7, highest + 3) == 3);
    CHECK(numbers.arrived_all("a", 7, highest + 3) == 0);
  }
}

TEST_CASE("each other end is counted by itself, and one of another incarnation from the beginning") {
  Numbers numbers;
  CHECK(numbers.arrived("a", 1, 1).missing == 0);
  CHECK(numbers.arrived("b", 2, 1).missing == 0);
  CHECK(numbers.arrived("a", 1, 2).missing == 0);
  numbers.sent_to("a") = 9;
  CHECK_FALSE(numbers.arrived("a", 3, 1).duplicate);
  CHECK(numbers.sent_to("a") == 0);
  CHECK(numbers.arrived("b", 2, 3).missing == 1);
}

TEST_CASE("how many were sent is said once after a silence, and not while there is none") {
  Numbers numbers;
  const Clock::time_point start = Clock::now();
  const auto at = [&](double seconds) { return start + std::chrono::duration_cast<Clock::duration>(Seconds(seconds)); };
  CHECK(numbers.silent(at(0)).empty());
  for (int k = 0; k < 50; ++k) {
    ++numbers.sent_to("a");
    CHECK(numbers.silent(at(k * 0.5)).empty());
  }
  CHECK(numbers.silent(at(25)).empty());
  const auto tails = numbers.silent(at(26));
  REQUIRE(tails.size() == 1);
  CHECK(tails.front().peer == "a");
  CHECK(tails.front().sent == 50);
  CHECK(numbers.silent(at(100)).empty());
}

TEST_CASE("messages to several peers are numbered for each, and what is sent twice comes once") {
  Three three;
  Mischief mischief;
  three.server.suffer(mischief), three.one.suffer(mischief);
  const Self self = self_of(Role::server);
  for (int k = 0; k < 3; ++k) {
    mischief.duplicate = 1;
    CHECK(three.server.send(self, header_of(Type::refused), "x", "w1"));
    CHECK(three.server.send(self, header_of(Type::refused), "x", "w2"));
  }
  for (std::uint64_t k = 1; k <= 3; ++k) {
    CHECK(next(three.one).header.sequence == k);
    CHECK(next(three.two).header.sequence == k);
  }
  std::vector<float> values(1000, 2.5f);
  InFlight in_flight;
  Header header = header_of(Type::push);
  header.count = values.size();
  mischief.duplicate = 1;
  CHECK(three.one.send_floats(self_of(Role::worker, 1), header, values, in_flight));
  three.push(three.one, 1, 1);
  CHECK(next(three.server).header.type == Type::push);
  CHECK(next(three.server).header.type == Type::touch);
  CHECK(three.server.refused() == 1);
  CHECK(becomes_idle(in_flight));
}

TEST_CASE("a message that is lost is found by the next of its sender, named with its numbers") {
  Three three;
  Mischief mischief;
  three.one.suffer(mischief);
  mischief.drop = 1;
  three.push(three.one, 1, 1);
  three.push(three.two, 2, 1);
  CHECK(next(three.server).header.sender_rank == 2);
  three.push(three.one, 1, 2);
  CHECK(loss_at(three.server) ==
        std::pair(Kind::lost, std::string("a message of worker 1 (number 2) was lost on the way to us")));
  mischief.drop = 3;
  for (std::uint64_t k = 3; k < 7; ++k) three.push(three.one, 1, k);
  CHECK(loss_at(three.server) ==
        std::pair(Kind::lost, std::string("3 messages of worker 1 (numbers 4 to 6) were lost on the way to us")));
}

TEST_CASE("the last message of all, when it is lost, is found when its sender falls silent") {
  for (const bool slow : {false, true}) {
    CAPTURE(slow);
    SlowLink link(0, Seconds(0.01));
    Three three;
    Mischief mischief;
    Tails tails;
    Socket moved(std::move(three.one));
    if (slow) moved.slow_down(link);
    moved.suffer(mischief);
    moved.mind_tail(tails);
    Socket kept(std::move(moved));  // as when it goes to whom it is made for
    mischief.drop = 2;
    three.push(kept, 1, 1), three.push(kept, 1, 2);
    const auto loss = failure_of([&] {
      Poller poller;
      poller.add(kept), poller.add(three.server);
      for (const Deadline deadline(long_enough); !deadline.passed(); poller.wait(50)) {
        tails.tell(self_of(Role::worker, 1));
        three.server.receive(nonce);
      }
    });
    CHECK(loss ==
          std::pair(Kind::lost, std::string("2 messages of worker 1 (numbers 2 to 3) were lost on the way to us")));
  }
}

TEST_CASE("a socket that tells of losses says how many on the next message, and does not throw") {
  Three three;
  three.server.tell_losses();
  Mischief mischief;
  three.one.suffer(mischief);
  mischief.drop = 2;
  for (std::uint64_t k = 1; k < 5; ++k) three.push(three.one, 1, k);
  CHECK(next(three.server).missing == 2);
  CHECK(next(three.server).missing == 0);
}

TEST_CASE("floats in shared memory that are lost on the way are let go, and of a duplicate only once") {
  Three three;
  SharedMemory ours, theirs;
  three.one.share(ours), three.server.share(theirs);
  three.server.tell_losses();
  Mischief mischief;
  three.one.suffer(mischief);
  const Arena arena = ours.arena(10);
  InFlight in_flight;
  Header header = header_of(Type::push);
  header.count = 10;
  for (int* what : {&mischief.drop, &mischief.duplicate}) {
    *what = 1;
    CHECK(three.one.send_floats(self_of(Role::worker, 1), header, arena.span(), in_flight));
    three.push(three.one, 1, 1);
    while (next(three.server).header.type != Type::touch) continue;
    CHECK(becomes_idle(in_flight));
  }
  CHECK(three.server.refused() == 1);
}

TEST_CASE("connections that are cut break, and are made anew, since listeners stay") {
  Three three;
  Monitor monitor(three.context, three.one);
  CHECK(cut_connections(-1) >= 2);  // of both, at one end at least: the other may be gone by then
  using What = Monitor::Event::What;
  for (const What what : {What::disconnected, What::ready})
    CHECK(until({&monitor.get()}, [&] {
      const auto event = monitor.next();
      return event && event->what == what;
    }));
}
