#include <doctest/doctest.h>

#include "base/hash.hpp"
#include "role/doors.hpp"
#include "role/roster.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

constexpr Seconds long_enough{20};
constexpr std::uint64_t nonce = 0x77;

/// The doors of a run whose outer one speaks CURVE, on loopback.
struct Run {
  Run() : doors(context, nonce, {"tcp://127.0.0.1:*", token_file(), false, true, 1}, Log(Level::quiet, "test: ")) {}
  ~Run() { std::filesystem::remove(file); }
  std::string token_file() {
    file = (std::filesystem::temp_directory_path() / ("doors-token-" + hex(entropy()))).string();
    return file;
  }
  std::optional<Knock> next() {
    const Deadline deadline(long_enough);
    while (!deadline.passed()) {
      wire::Poller poller;
      doors.watch(poller);
      poller.wait(100);
      doors.serve();
      while (doors.disconnected()) ++ended;
      if (auto knock = doors.receive()) return knock;
      if (ended > 0 && stop_at_end) return std::nullopt;
    }
    return std::nullopt;
  }
  std::string file;
  wire::Context context;
  Doors doors;
  int ended = 0;
  bool stop_at_end = false;
};

/// Somebody with a key pair, and a join that says so.
struct Joiner {
  Joiner(const wire::Token& with) : token(with), keys(wire::connecting_keys(own, token.coordinator_key)) {}
  void say(const std::string& endpoint, const std::string& payload) {
    socket.emplace(context, wire::Socket::Pattern::dealer, "join-" + hex(entropy()), &keys);
    socket->connect(endpoint);
    wire::Header header;
    header.type = wire::Type::join;
    CHECK(socket->send({wire::Role::worker, 0, 0, 1, 0}, header, payload));
  }
  Join join() const {
    Join join;
    join.host = "there";
    join.ticket = token.ticket;
    join.secret = wire::join_proof(token, own.public_key);
    join.public_key = own.public_key;
    return join;
  }
  wire::KeyPair own = wire::make_key_pair();
  wire::Token token;
  wire::Keys keys;
  wire::Context context;
  std::optional<wire::Socket> socket;
};

bool admitted(Run& run, Joiner& joiner, const Join& join) {
  joiner.say(run.doors.outer_endpoint(), pack(join));
  const std::optional<Knock> knock = run.next();
  REQUIRE(knock);
  CHECK(knock->from.door == 1);
  const auto read = unpack_join(knock->message.text());
  REQUIRE(read);
  return run.doors.admits(knock->from, *read, knock->message);
}

}  // namespace

TEST_CASE("who holds the token is admitted; a wrong secret, another run's nonce or another's proof is not") {
  Run run;
  const wire::Token right = wire::read_token(run.file);
  CHECK(right == *run.doors.token());
  Joiner good(right);
  CHECK(admitted(run, good, good.join()));
  wire::Token wrong = right;
  wrong.secret = wire::make_secret();
  Joiner guess(wrong);
  CHECK_FALSE(admitted(run, guess, guess.join()));
  wire::Token old = right;
  old.nonce += 1;
  Joiner late(old);
  CHECK_FALSE(admitted(run, late, late.join()));
  Joiner thief(right);  // says what `good` said, by a connection of its own
  CHECK_FALSE(admitted(run, thief, good.join()));
}

TEST_CASE("a join from outside waits while only members are heard, and is received then, before all others") {
  Run run;
  const wire::Token token = wire::read_token(run.file);
  Joiner first(token), second(token);
  first.say(run.doors.outer_endpoint(), pack(first.join()));
  std::optional<Knock> knock = run.next();
  REQUIRE(knock);
  const Address address = knock->from;
  run.doors.put_back(*std::move(knock));
  second.say(run.doors.outer_endpoint(), pack(second.join()));
  CHECK_FALSE(run.doors.receive_from_members());
  knock = run.doors.receive();
  REQUIRE(knock);
  CHECK(knock->from == address);
  const Deadline deadline(long_enough);
  for (knock.reset(); !knock && !deadline.passed(); knock = run.doors.receive()) {
    wire::Poller poller;
    run.doors.watch(poller);
    poller.wait(100);
    run.doors.serve();
    CHECK_FALSE(run.doors.receive_from_members());
  }
  REQUIRE(knock);
  CHECK_FALSE(knock->from == address);
}

TEST_CASE("a join above a mebibyte ends its connection, and the next who comes gets in") {
  Run run;
  const wire::Token token = wire::read_token(run.file);
  Joiner large(token);
  Join join = large.join();
  join.host = std::string(2 << 20, 'x');
  large.say(run.doors.outer_endpoint(), pack(join));
  run.stop_at_end = true;
  CHECK_FALSE(run.next());
  CHECK(run.ended > 0);
  large.socket.reset();
  run.stop_at_end = false;
  Joiner good(token);
  CHECK(admitted(run, good, good.join()));
}

TEST_CASE("what a joiner calls its host can be printed, and is short") {
  Join join;
  join.host = "a\x1b[31mb\n" + std::string(1000, 'c');
  const auto read = unpack_join(pack(join));
  REQUIRE(read);
  CHECK(read->host.size() <= 255);
  CHECK(read->host.starts_with("a?[31mb?"));
}
