#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/random.hpp"
#include "wire/slow_link.hpp"
#include "wire_support.hpp"

using namespace dtrain;
using namespace dtrain::wire;
using namespace dtrain::wire::test;

namespace {

constexpr double rate = 1 << 20;  // bytes per second: a power of two, so that times are exact
constexpr double burst = Throttle::burst_bytes;
constexpr std::size_t kib = 1024;

Throttle bucket(Seconds latency = Seconds(0)) { return {8 * rate, latency}; }

/// What passed, and when its first and its last byte did.
struct Passed {
  double bytes, begins, ends;
};

std::vector<Passed> random_traffic(std::uint64_t seed, int messages) {
  Throttle throttle = bucket();
  std::vector<Passed> passed;
  double now = 0, before = 0;
  for (std::uint32_t k = 0; k < static_cast<std::uint32_t>(messages); ++k) {
    const auto draws = draw(seed, Purpose::fault, k, 0);
    const std::size_t bytes = 1 + draws[0] % (draws[1] % 4 == 0 ? 400'000 : 4'000);
    if (draws[2] % 3 == 0) now += (draws[3] % 1000) * 5e-4;
    const double ends = throttle.pass(bytes, Seconds(now)).count();
    passed.push_back({static_cast<double>(bytes), std::max(now, before), ends});
    before = ends;
  }
  return passed;
}

/// Two ends that know each other, each with a link of its own.
struct Ends {
  Ends(double bits_per_second, Seconds latency) : here(bits_per_second, latency), there(bits_per_second, latency) {
    worker->connect(server.bind(loopback));
    worker->send(self_of(Role::worker), header_of(Type::pull), std::string_view());
    next(server);
    if (bits_per_second > 0 || latency.count() > 0) worker->slow_down(here), server.slow_down(there);
  }
  void push(std::uint64_t clock, std::span<const float> values) {
    Header header = header_of(Type::push);
    header.clock = clock;
    header.count = values.size();
    CHECK(worker->send_floats(self_of(Role::worker), header, values, sending));
  }
  /// Waits for the server's next message at both sockets; counts the waits.
  std::optional<Message> arrival() {
    const Deadline deadline(long_enough);
    while (!deadline.passed()) {
      if (auto message = server.receive(nonce)) return message;
      Poller poller;
      poller.add(*worker), poller.add(server);
      poller.wait(deadline.milliseconds(20'000));
      ++waits;
    }
    return std::nullopt;
  }
  SlowLink here, there;
  InFlight sending;
  Context context;
  Socket server{context, Socket::Pattern::router, ""};
  std::optional<Socket> worker{std::in_place, context, Socket::Pattern::dealer, "w0"};
  int waits = 0;
};

}  // namespace

TEST_CASE("no stretch of time sees more than a burst and what the rate brings") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    CAPTURE(seed);
    const std::vector<Passed> passed = random_traffic(seed, 120);
    for (std::size_t i = 0; i < passed.size(); ++i) {
      double bytes = 0;
      for (std::size_t j = i; j < passed.size(); ++j) {
        bytes += passed[j].bytes;
        REQUIRE(bytes <= burst + rate * (passed[j].ends - passed[i].begins) + 1e-3);
      }
    }
  }
}

TEST_CASE("messages pass in the order in which they were offered, and never before they were") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const std::vector<Passed> passed = random_traffic(seed, 200);
    for (std::size_t k = 0; k < passed.size(); ++k) {
      CHECK(passed[k].ends >= passed[k].begins);
      if (k > 0) CHECK(passed[k].ends >= passed[k - 1].ends);
    }
  }
}

TEST_CASE("after a silence a burst passes at once, and what is larger passes in its time") {
  Throttle throttle = bucket();
  CHECK(throttle.pass(64 * kib, Seconds(10)).count() == 10);
  CHECK(throttle.pass(64 * kib, Seconds(10)).count() == 10 + 1.0 / 16);
  CHECK(throttle.pass(1024 * kib, Seconds(20)).count() == 20 + 15.0 / 16);
  CHECK(throttle.pass(1, Seconds(20)).count() > 20 + 15.0 / 16);
  CHECK(throttle.pass(64 * kib, Seconds(20.95)).count() > 20.95);
  CHECK(throttle.pass(64 * kib, Seconds(30)).count() == 30);
}

TEST_CASE("under load a link carries what its rate says, whatever the messages' sizes") {
  for (const std::size_t size : {std::size_t{64}, 4 * kib, 64 * kib, 1024 * kib}) {
    Throttle throttle = bucket();
    double last = 0;
    for (std::size_t sent = 0; sent < 4096 * kib; sent += size) last = throttle.pass(size, Seconds(0)).count();
    CHECK(last == 4 - 1.0 / 16);
  }
}

TEST_CASE("latency delays each message and takes no part of the rate; without a rate it is all there is") {
  Throttle late = bucket(Seconds(0.5)), free(0, Seconds(0.5)), open(0, Seconds(0));
  CHECK(late.pass(64 * kib, Seconds(1)).count() == 1.5);
  CHECK(late.pass(64 * kib, Seconds(1)).count() == 1.5 + 1.0 / 16);
  for (int k = 0; k < 100; ++k) {
    CHECK(free.pass(1024 * kib, Seconds(k)).count() == k + 0.5);
    CHECK(open.pass(1024 * kib, Seconds(k)).count() == k);
  }
}

TEST_CASE("what may have come while nobody looked is not held up again, but two at a time share the link") {
  Throttle throttle = bucket();
  // Both came within the second that ends now, one after the other.
  CHECK(throttle.pass(512 * kib, Seconds(1), Seconds(2)).count() == 2);
  CHECK(throttle.pass(512 * kib, Seconds(1), Seconds(2)).count() == 2);
  // From two senders at once: as fast as one of them sends is as fast as it goes.
  CHECK(throttle.pass(1024 * kib, Seconds(9), Seconds(10)).count() == 10);
  CHECK(throttle.pass(1024 * kib, Seconds(9), Seconds(10)).count() == 11 - 1.0 / 16);
}

TEST_CASE("over a slow link messages arrive in order, whole, no sooner than it allows, without polling in vain") {
  constexpr double mbit = 100e6;
  const std::vector<float> values(50'000, 1.5f);
  double seconds[2];
  for (const bool slow : {false, true}) {
    Ends ends(slow ? mbit : 0, Seconds(0));
    const auto start = Clock::now();
    for (std::uint64_t k = 0; k < 8; ++k) ends.push(k, values);
    if (slow) CHECK_FALSE(ends.sending.idle());
    CHECK(ends.worker->counters().messages_sent == 9);
    for (std::uint64_t k = 0; k < 8; ++k) {
      const auto message = ends.arrival();
      REQUIRE(message);
      CHECK(message->header.clock == k);
      CHECK(message->peer == "w0");
      CHECK(message->payload.size() == 4 * values.size());
    }
    seconds[slow] = seconds_since(start);
    if (slow) CHECK(seconds[slow] >= (8.0 * 200'000 - burst) * 8 / mbit);
    CHECK(ends.waits < 200);
    CHECK(ends.server.counters().payload_received == 8 * 200'000);
  }
  CHECK(seconds[true] > 2 * seconds[false]);
}

TEST_CASE("a round trip takes the latency twice") {
  const Seconds latency(0.005);
  Ends ends(0, latency);
  const auto start = Clock::now();
  const Deadline deadline(long_enough);
  constexpr int rounds = 10;
  for (int k = 0; k < rounds; ++k) {
    ends.worker->send(self_of(Role::worker), header_of(Type::pull), std::string_view());
    REQUIRE(ends.arrival());
    CHECK(ends.server.send(self_of(Role::server), header_of(Type::stop), std::string_view(), "w0"));
    std::optional<Message> answer;
    while (!deadline.passed() && !(answer = ends.worker->receive(nonce))) {
      Poller poller;
      poller.add(*ends.worker), poller.add(ends.server);
      poller.wait(deadline.milliseconds(20'000));
    }
    REQUIRE(answer);
  }
  CHECK(seconds_since(start) >= 2 * rounds * latency.count());
}

TEST_CASE("what waits for its turn when its socket closes still arrives, and lets its memory go") {
  const std::vector<float> values(100'000, 2.5f);
  Ends ends(1e6, Seconds(3600));
  for (std::uint64_t k = 0; k < 5; ++k) ends.push(k, values);
  CHECK_FALSE(ends.server.receive(nonce));
  ends.worker.reset();
  // The receiver's own link would hold it up as well.
  Poller poller;
  poller.add(ends.server.get());
  const Deadline deadline(long_enough);
  const auto all_came = [&] { return ends.server.counters().payload_received == 5 * 400'000; };
  while (!(all_came() && ends.sending.idle()) && !deadline.passed()) poller.wait(10), ends.server.receive(nonce);
  CHECK(all_came());
  CHECK(ends.sending.idle());
}

TEST_CASE("of a message over a slow link to somebody who is gone nothing stays behind") {
  Ends ends(1e6, Seconds(0));
  const std::vector<float> values(100'000);
  Header header = header_of(Type::weights);
  header.count = values.size();
  InFlight sending;
  CHECK(ends.server.send_floats(self_of(Role::server), header, values, sending, "nobody"));
  CHECK_FALSE(sending.idle());
  const Deadline deadline(long_enough);
  while (!sending.idle() && !deadline.passed()) {
    Poller poller;
    poller.add(ends.server);
    poller.wait(deadline.milliseconds(20'000));
  }
  CHECK(sending.idle());
}
