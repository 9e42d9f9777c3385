#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/file.hpp"
#include "base/hash.hpp"
#include "wire/endpoint.hpp"
#include "wire_support.hpp"

using namespace dtrain;
using namespace dtrain::wire;
using namespace dtrain::wire::test;

namespace {

Header push_header() {
  Header header;
  header.type = Type::push;
  header.count = 2;
  header.payload = 8;
  return header;
}

/// A server and a worker that know each other.
struct Two {
  explicit Two(const std::string& endpoint = loopback) {
    worker.connect(server.bind(endpoint));
    worker.send(self_of(Role::worker), header_of(Type::pull), std::string_view());
    first = next(server);
  }
  Context context;
  Socket server{context, Socket::Pattern::router, ""};
  Socket worker{context, Socket::Pattern::dealer, "w0"};
  Message first;
};

}  // namespace

TEST_CASE("messages arrive with their sender, payload and a connection to match, and are counted exactly") {
  const Scratch scratch;
  for (const std::string& endpoint : {std::string(loopback), "ipc://" + (scratch.path / "s").string()}) {
    Two two(endpoint);
    CHECK(two.first.header.sender_role == Role::worker);
    CHECK(two.first.header.sequence == 1);
    CHECK(two.first.peer == "w0");
    CHECK(two.first.descriptor >= 0);
    CHECK(two.first.user.empty());

    std::vector<float> values(300'000);
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k);
    InFlight in_flight;
    Header header = header_of(Type::weights);
    header.clock = 9;
    header.count = values.size();
    CHECK(two.server.send_floats(self_of(Role::server, 4), header, values, in_flight, "w0"));
    CHECK(two.server.send(self_of(Role::server, 4), header_of(Type::refused), "why not", "w0"));
    const Message weights = next(two.worker);
    CHECK(weights.header.sender_rank == 4);
    CHECK(weights.header.incarnation == 77);
    CHECK(weights.header.epoch == 3);
    CHECK(weights.header.clock == 9);
    REQUIRE(weights.payload.size() == 4 * values.size());
    CHECK(std::memcmp(weights.payload.data(), values.data(), weights.payload.size()) == 0);
    const Message text = next(two.worker);
    CHECK(text.text() == "why not");
    CHECK(text.header.sequence == 2);
    CHECK(becomes_idle(in_flight));

    CHECK(two.worker.counters().messages_sent == 1);
    CHECK(two.worker.counters().wire_sent == header_bytes);
    CHECK(two.worker.counters().payload_sent == 0);
    CHECK(two.server.counters().messages_received == 1);
    CHECK(two.server.counters().payload_sent == 1'200'007);
    CHECK(two.worker.counters().messages_received == 2);
    CHECK(two.worker.counters().payload_received == 1'200'007);
    CHECK(two.worker.counters().wire_received == 1'200'007 + 2 * header_bytes);
  }
}

TEST_CASE("a message that is forwarded keeps its numbers and its header, but for who sends it") {
  Two two;
  const std::vector<float> values{1.5f, -2.0f, 1e-40f};
  Header header = header_of(Type::snapshot);
  header.clock = 8, header.slice = 1, header.rows = 3, header.due = 5, header.note = 6, header.offset = 40;
  header.count = 3;
  InFlight in_flight;
  REQUIRE(two.worker.send_floats(self_of(Role::worker, 2), header, values, in_flight));
  Message received = next(two.server);
  Context context;
  Socket on{context, Socket::Pattern::router, ""}, back{context, Socket::Pattern::dealer, "c"};
  back.connect(on.bind(loopback));
  back.send(self_of(Role::coordinator), header_of(Type::pull), std::string_view());
  next(on);
  REQUIRE(on.forward(self_of(Role::server, 1), std::move(received), "c"));
  Message message = next(back);
  CHECK(message.header.sender_role == Role::server);
  CHECK(message.header.sender_rank == 1);
  CHECK(message.header.sequence == 1);
  CHECK(message.header.type == Type::snapshot);
  CHECK(message.header.clock == 8);
  CHECK(message.header.slice == 1);
  CHECK(message.header.rows == 3);
  CHECK(message.header.due == 5);
  CHECK(message.header.note == 6);
  CHECK(message.header.offset == 40);
  REQUIRE(message.payload.size() == 12);
  CHECK(std::memcmp(message.payload.data(), values.data(), 12) == 0);
  CHECK_FALSE(on.forward(self_of(Role::server, 1), std::move(message), "nobody"));
  CHECK(becomes_idle(in_flight));
}

TEST_CASE("floats that cannot be sent are let go of at once") {
  Two two;
  const std::vector<float> values(1000);
  InFlight in_flight;
  Header header = header_of(Type::weights);
  header.count = values.size();
  CHECK_FALSE(two.server.send_floats(self_of(Role::server), header, values, in_flight, "nobody"));
  CHECK(in_flight.idle());
  CHECK_FALSE(two.server.send(self_of(Role::server), header_of(Type::stop), std::string_view(), "nobody"));
  CHECK(two.server.counters().messages_sent == 0);
  CHECK(two.server.send(self_of(Role::server), header_of(Type::stop), std::string_view(), "w0"));
  CHECK(next(two.worker).header.sequence == 1);
}

TEST_CASE("messages sent before anybody listens arrive, in order") {
  const Scratch scratch;
  const std::string endpoint = "ipc://" + (scratch.path / "s").string();
  Context context;
  Socket worker(context, Socket::Pattern::dealer, "w0");
  worker.connect(endpoint);
  for (std::uint64_t k = 0; k < 100; ++k) {
    Header header = header_of(Type::pull);
    header.clock = k;
    CHECK(worker.send(self_of(Role::worker), header, std::string_view()));
  }
  Socket server(context, Socket::Pattern::router, "");
  CHECK(server.bind(endpoint) == endpoint);
  for (std::uint64_t k = 0; k < 100; ++k) CHECK(next(server).header.clock == k);
}

TEST_CASE("bad messages are dropped with the reason, and the good one after them arrives") {
  Two two;
  std::vector<std::string> reasons;
  const auto good = header_of(Type::stop);
  const auto raw = [&](const std::vector<std::string>& frames) {
    for (std::size_t k = 0; k < frames.size(); ++k) {
      zmq::message_t frame(frames[k].data(), frames[k].size());
      two.worker.get().send(frame, k + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  };
  const auto text_of = [](Header header) {
    header.nonce = nonce;
    const auto bytes = encode(header);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  Header announced = header_of(Type::join);
  announced.payload = 5;
  announced.payload_hash = fast_hash(bytes_of("hello"));
  raw({""});
  raw({"garbage"});
  raw({text_of(good), "a", "b"});
  raw({text_of(good), "a", "b", "c", "d", "e"});
  raw({text_of(announced)});
  raw({text_of(announced), "hello!"});
  raw({text_of(announced), "hellO"});
  raw({text_of(push_header()), "1234567"});
  Self stranger = self_of(Role::worker);
  stranger.nonce = 1;
  two.worker.send(stranger, good, std::string_view());
  stranger.nonce = 0;
  two.worker.send(stranger, good, std::string_view());
  raw({text_of(announced), "hello"});

  std::optional<Message> message;
  const auto note = [&](const std::string& why) { reasons.push_back(why); };
  REQUIRE(until({&two.server.get()}, [&] { return (message = two.server.receive(nonce, note)).has_value(); }));
  CHECK(message->text() == "hello");
  CHECK(reasons == std::vector<std::string>{
                       "from w0: a header has 152 bytes, not 0", "from w0: a header has 152 bytes, not 7",
                       "from w0: a message has 1 or 2 frames, not 3", "from w0: a message has 1 or 2 frames, not 6",
                       "from w0: the header announces 5 bytes, 0 came", "from w0: the header announces 5 bytes, 6 came",
                       "from w0: the payload's hash is wrong", "from w0: the header announces 8 bytes, 7 came",
                       "from w0: it belongs to another run", "from w0: it belongs to another run"});
  CHECK(two.server.refused() == 10);
  CHECK(two.server.counters().messages_received == 2);
}

TEST_CASE("what carries the nonce of an attempt that is over is dropped, and counts as nobody's") {
  Two two;
  Self late = self_of(Role::worker);
  late.nonce = 1;
  two.worker.send(late, header_of(Type::progress), "late");
  late.nonce = 2;
  two.worker.send(late, header_of(Type::progress), "stranger");
  two.worker.send(self_of(Role::worker), header_of(Type::progress), "ours");
  two.server.tell_losses();
  two.server.retire(1);
  std::optional<Message> message;
  REQUIRE(until({&two.server.get()}, [&] { return (message = two.server.receive(nonce)).has_value(); }));
  CHECK(message->text() == "ours");
  CHECK(two.server.refused() == 1);
}

TEST_CASE("a joiner need not know the nonce, and may learn it from the answer") {
  Two two;
  Self joiner = self_of(Role::worker);
  joiner.nonce = 0;
  two.worker.send(joiner, header_of(Type::join), "{}");
  const Message join = next(two.server);
  CHECK(join.text() == "{}");
  CHECK(join.address == "127.0.0.1");
  two.server.send(self_of(Role::coordinator), header_of(Type::welcome), "come in", "w0");
  CHECK(next(two.worker, 0).header.nonce == nonce);
}

TEST_CASE("a flood of garbage does not keep a receiver from returning") {
  Two two;
  for (int k = 0; k < 1000; ++k) two.worker.get().send(zmq::message_t(std::string("x")), zmq::send_flags::none);
  two.worker.send(self_of(Role::worker), header_of(Type::pull), std::string_view());
  bool arrived = false;
  REQUIRE(until({&two.server.get()}, [&] {
    const auto before = two.server.refused();
    arrived = two.server.receive(nonce).has_value();
    CHECK(two.server.refused() - before <= 64);
    return arrived;
  }));
  CHECK(two.server.refused() == 1000);
}

TEST_CASE("an endpoint that cannot be had is an error that names it and the remedy") {
  Context context;
  Socket first(context, Socket::Pattern::router, ""), second(context, Socket::Pattern::router, "");
  const std::string endpoint = first.bind(loopback);
  CHECK(endpoint.starts_with("tcp://127.0.0.1:"));
  CHECK(endpoint != loopback);
  CHECK(thrown([&] { second.bind(endpoint); }) ==
        "cannot listen on " + endpoint + ": Address already in use; choose another port, or * for any");
  CHECK(thrown([&] { second.bind("ipc:///tmp/" + std::string(120, 'x')); }) ==
        "cannot listen on ipc:///tmp/" + std::string(120, 'x') +
            ": a socket's path may have 107 bytes, this one has 125; use a shorter folder");
  CHECK(thrown([&] { second.connect("nonsense"); }) ==
        "cannot connect to nonsense: Invalid argument; an endpoint reads tcp://HOST:PORT or ipc://PATH");
  CHECK(thrown([&] { second.bind("tcp://192.0.2.1:*"); }) ==
        "cannot listen on tcp://192.0.2.1:*: Cannot assign requested address; choose an address of this host, or * "
        "for all");
}

TEST_CASE("a wildcard address is published as one that others can connect to") {
  Context context;
  Socket server(context, Socket::Pattern::router, ""), worker(context, Socket::Pattern::dealer, "w0");
  const std::string endpoint = server.bind("tcp://*:*");
  CHECK(endpoint.find("0.0.0.0") == std::string::npos);
  CHECK(endpoint.find('*') == std::string::npos);
  worker.connect(endpoint);
  worker.send(self_of(Role::worker), header_of(Type::pull), std::string_view());
  CHECK(next(server).peer == "w0");
}

TEST_CASE("only loopback and local sockets stay on the host") {
  for (const char* stays : {"ipc:///run/x", "inproc://x", "tcp://127.0.0.1:5555", "tcp://127.3.2.1:*",
                            "tcp://localhost:1", "tcp://[::1]:5555"})
    CHECK_FALSE(leaves_host(stays));
  for (const char* leaves :
       {"tcp://*:*", "tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://10.0.0.1:5555", "tcp://eth0:*", "tcp://example:1",
        "tcp://127.0.0.1.example:1", "tcp://localhost.example:1", "tcp://", "udp://127.0.0.1:1", ""})
    CHECK(leaves_host(leaves));
}

TEST_CASE("a monitor tells when a peer is ready and when it has gone, by the connection its messages came by") {
  Context context;
  Socket server(context, Socket::Pattern::router, "");
  Monitor monitor(context, server);
  std::optional<Socket> worker(std::in_place, context, Socket::Pattern::dealer, "w0");
  worker->connect(server.bind(loopback));
  worker->send(self_of(Role::worker), header_of(Type::pull), std::string_view());
  using What = Monitor::Event::What;
  const auto await = [&](What what) {
    std::optional<Monitor::Event> event;
    REQUIRE(until({&monitor.get()}, [&] { return (event = monitor.next()) && event->what == what; }));
    return *event;
  };
  const int descriptor = await(What::connected).descriptor;
  await(What::ready);
  CHECK(next(server).descriptor == descriptor);
  worker.reset();
  CHECK(await(What::disconnected).descriptor == descriptor);
}

TEST_CASE("poll tells which item is readable, and a signal ends it with none") {
  Two two;
  const int descriptor = ::eventfd(0, EFD_CLOEXEC);
  Poller poller;
  poller.add(two.server);
  poller.add(descriptor);
  CHECK_FALSE(poller.wait(0));
  const std::uint64_t one = 1;
  REQUIRE(::write(descriptor, &one, sizeof one) == sizeof one);
  CHECK(poller.wait(20'000));
  CHECK_FALSE(poller.ready(0));
  CHECK(poller.ready(1));
  ::close(descriptor);

  poller.clear();
  poller.add(two.server);
  struct sigaction action {
  }, old{};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, &old);
  const itimerval again{{0, 5000}, {0, 5000}}, never{};
  ::setitimer(ITIMER_REAL, &again, nullptr);
  const auto start = Clock::now();
  CHECK_FALSE(poller.wait(600'000));
  CHECK(seconds_since(start) < 600);
  ::setitimer(ITIMER_REAL, &never, nullptr);
  ::sigaction(SIGALRM, &old, nullptr);
  CHECK_FALSE(poller.ready(0));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("large blocks that were freed are had again without page faults") {
  keep_large_blocks();
  const auto faults = [] {
    rusage use{};
    ::getrusage(RUSAGE_SELF, &use);
    return use.ru_minflt;
  };
  const auto fill = [] {
    const std::unique_ptr<void, decltype(&std::free)> block(std::malloc(16 << 20), &std::free);
    std::memset(block.get(), 1, 16 << 20);
    asm volatile("" : : "r"(block.get()) : "memory");
  };
  fill();
  const auto before = faults();
  for (int k = 0; k < 10; ++k) fill();
  CHECK(faults() - before < 100);
}
#endif
