#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/hash.hpp"
#include "wire/security.hpp"
#include "wire_support.hpp"

using namespace dtrain;
using namespace dtrain::wire;
using namespace dtrain::wire::test;

TEST_CASE("hmac_sha256 gives the known answers of RFC 4231") {
  CHECK(hmac_sha256("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(same_secret("abc", "abc"));
  CHECK_FALSE(same_secret("abc", "abd"));
  CHECK_FALSE(same_secret("abc", "ab"));
}

TEST_CASE("a proof to join holds for one key, one run and one secret") {
  const Token token{make_key_pair().public_key, make_secret(), nonce};
  const std::string joiner = make_key_pair().public_key;
  const std::string proof = join_proof(token, joiner);
  CHECK(proves_join(token, joiner, proof));
  CHECK_FALSE(proves_join(token, make_key_pair().public_key, proof));
  CHECK_FALSE(proves_join(token, "", proof));
  CHECK_FALSE(proves_join(token, joiner, ""));
  Token other = token;
  other.nonce = nonce + 1;
  CHECK_FALSE(proves_join(other, joiner, proof));
  other = token;
  other.secret = make_secret();
  CHECK_FALSE(proves_join(other, joiner, proof));
}

TEST_CASE("a token file is private, reads back, and is refused when others can read it") {
  const Scratch scratch;
  const fs::path path = scratch.path / "token";
  const Token token{make_key_pair().public_key, make_secret(), 0xfedcba9876543210};
  write_token(path, token);
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(read_token(path) == token);
  CHECK(std::distance(fs::directory_iterator(scratch.path), fs::directory_iterator()) == 1);
  ::chmod(path.c_str(), 0640);
  CHECK(thrown([&] { read_token(path); }) ==
        "the token file " + path.string() + " is open to others (mode 0640): chmod 600 " + path.string());
  ::chmod(path.c_str(), 0600);
  for (const char* text : {"", "{}", "[1]", "{\"coordinator_key\": 1, \"nonce\": \"\", \"secret\": \"\"}",
                           "{\"coordinator_key\": \"short\", \"nonce\": \"0\", \"secret\": \"x\"}"}) {
    std::ofstream(path) << text;
    CHECK(thrown([&] { read_token(path); }).find(path.string()) != std::string::npos);
  }
  CHECK_FALSE(thrown([&] { read_token(scratch.path / "missing"); }).empty());
  CHECK_FALSE(thrown([&] { write_token(scratch.path / "missing" / "token", token); }).empty());
}

TEST_CASE("a token is read from a descriptor up to its end, and no further is waited for") {
  Token token{make_key_pair().public_key, make_secret(), 0x12};
  token.ticket = make_secret();
  token.held = true;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const std::string path = "/dev/fd/" + std::to_string(ends[0]), text = token_text(token);
  for (int k = 0; k < 2; ++k) {
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    CHECK(read_token(path) == token);  // the pipe stays open: an end of file would never come
  }
  REQUIRE(::write(ends[1], "{\"secret\":", 10) == 10);
  ::close(ends[1]);
  CHECK(thrown([&] { read_token(path); }) == path + " is not a token file");
  ::close(ends[0]);
  CHECK(thrown([&] { read_token(path); }).find(path) != std::string::npos);
  CHECK(token_descriptor("-") == 0);
  CHECK(token_descriptor("/dev/stdin") == 0);
  CHECK(token_descriptor("/proc/self/fd/7") == 7);
  CHECK_FALSE(token_descriptor("/dev/fd/x"));
  CHECK_FALSE(token_descriptor("run.token"));
}

TEST_CASE("a token that others may read is refused by a descriptor too, and is written over files only") {
  const Scratch scratch;
  const fs::path path = scratch.path / "token";
  const Token token{make_key_pair().public_key, make_secret(), 1};
  write_token(path, token);
  ::chmod(path.c_str(), 0604);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(thrown([&] { read_token("/dev/fd/" + std::to_string(fd)); }).find("open to others (mode 0604)") !=
        std::string::npos);
  ::close(fd);
  fs::create_symlink(path, scratch.path / "link");
  CHECK(thrown([&] { write_token(scratch.path / "link", token); }).find("no regular file") != std::string::npos);
  CHECK(thrown([&] { write_token("/dev/stdin", token); }).find("no regular file") != std::string::npos);
}

namespace {

/// A server that speaks CURVE over loopback, and its gate.
struct Encrypted {
  explicit Encrypted(const std::string& domain, bool with_authenticator = true) {
    if (with_authenticator) gate.emplace(context);
    const Keys keys = binding_keys(own, domain);
    server.emplace(context, Socket::Pattern::router, "", &keys);
    monitor.emplace(context, *server);
    endpoint = server->bind(loopback);
  }
  ~Encrypted() { monitor.reset(); }

  /// Connects a client that says `pull`; true if that arrives, false if its handshake fails.
  bool talks(const Keys* keys, std::string* user = nullptr) {
    Context elsewhere;
    Socket client(elsewhere, Socket::Pattern::dealer, "w0", keys);
    Monitor client_monitor(elsewhere, client);
    client.connect(endpoint);
    client.send(self_of(Role::worker), header_of(Type::pull), std::string_view());
    client.get().set(zmq::sockopt::linger, 0);
    bool arrived = false, failed = false;
    std::vector<zmq::socket_t*> sockets{&server->get(), &monitor->get(), &client_monitor.get()};
    if (gate) sockets.push_back(&gate->get());
    REQUIRE(until(sockets, [&] {
      if (gate) gate->serve();
      for (auto* each : {&*monitor, &client_monitor})
        while (auto event = each->next()) failed |= event->what == Monitor::Event::What::handshake_failed;
      if (auto message = server->receive(nonce)) {
        arrived = true;
        if (user != nullptr) *user = message->user;
      }
      return arrived || failed;
    }));
    return arrived;
  }

  Context context;
  KeyPair own = make_key_pair();
  std::optional<Authenticator> gate;
  std::optional<Socket> server;
  std::optional<Monitor> monitor;
  std::string endpoint;
};

}  // namespace

TEST_CASE("a listed key passes and is told with each message; an unlisted one is refused until it is allowed") {
  Encrypted encrypted(Authenticator::listed_keys);
  const KeyPair worker = make_key_pair();
  const Keys keys = connecting_keys(worker, encrypted.own.public_key);
  CHECK_FALSE(encrypted.talks(&keys));
  CHECK(encrypted.gate->denied() >= 1);
  encrypted.gate->allow(worker.public_key);
  std::string user;
  CHECK(encrypted.talks(&keys, &user));
  CHECK(user == worker.public_key);
  CHECK(encrypted.gate->admitted() == 1);
  encrypted.gate->disallow(worker.public_key);
  CHECK_FALSE(encrypted.talks(&keys));
}

TEST_CASE("a control socket admits any key, and tells which it is") {
  Encrypted encrypted(Authenticator::any_key);
  const KeyPair worker = make_key_pair();
  const Keys keys = connecting_keys(worker, encrypted.own.public_key);
  std::string user;
  CHECK(encrypted.talks(&keys, &user));
  CHECK(user == worker.public_key);
}

TEST_CASE("a domain that the authenticator does not know admits nobody") {
  Encrypted encrypted("elsewhere");
  const KeyPair worker = make_key_pair();
  encrypted.gate->allow(worker.public_key);
  const Keys keys = connecting_keys(worker, encrypted.own.public_key);
  CHECK_FALSE(encrypted.talks(&keys));
}

TEST_CASE("without an authenticator nobody is admitted") {
  Encrypted encrypted(Authenticator::any_key, false);
  const Keys keys = connecting_keys(make_key_pair(), encrypted.own.public_key);
  CHECK_FALSE(encrypted.talks(&keys));
}

TEST_CASE("a plain client cannot talk to an encrypted server") {
  Encrypted encrypted(Authenticator::any_key);
  CHECK_FALSE(encrypted.talks(nullptr));
  CHECK(encrypted.gate->admitted() == 0);
}

TEST_CASE("a client that expects another server's key does not talk") {
  Encrypted encrypted(Authenticator::any_key);
  const Keys keys = connecting_keys(make_key_pair(), make_key_pair().public_key);
  CHECK_FALSE(encrypted.talks(&keys));
}

TEST_CASE("a context has one authenticator") {
  Context context;
  Authenticator first(context);
  CHECK_THROWS_AS(Authenticator{context}, Error);
}
