#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>

#include "base/text.hpp"
#include "wire/crowd.hpp"
#include "wire/security.hpp"
#include "wire_support.hpp"

using namespace dtrain;
using namespace dtrain::wire;
using namespace dtrain::wire::test;

namespace {

/// A plain TCP connection to 127.0.0.1, as a stranger would make it.
class Stranger {
 public:
  explicit Stranger(const std::string& endpoint) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto port = parse_integer(endpoint.substr(endpoint.rfind(':') + 1)).value();
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~Stranger() { ::close(fd_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  void say(const std::string& bytes) const {
    [[maybe_unused]] const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  /// What comes next; "" at the end of the connection.
  std::string hear() const {
    char bytes[4096];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : std::string();
  }
  int descriptor() const { return fd_; }

 private:
  int fd_;
};

/// A listening socket with its crowd.
struct Door {
  explicit Door(Seconds patience = Seconds(0), const Keys* keys = nullptr)
      : socket(context, Socket::Pattern::router, "", keys), crowd(patience) {
    monitor.emplace(context, socket);
    endpoint = socket.bind(loopback);
  }
  ~Door() { monitor.reset(); }
  void look() {
    while (const auto event = monitor->next()) crowd.note(*event);
    crowd.sweep();
  }
  bool until_looking(const std::function<bool()>& done) {
    const Deadline deadline(long_enough);
    while (!done()) {
      if (deadline.passed()) return false;
      Poller poller;
      poller.add(monitor->get());
      poller.wait(20);
      look();
    }
    return true;
  }
  Context context;
  Socket socket;
  Crowd crowd;
  std::optional<Monitor> monitor;
  std::string endpoint;
};

}  // namespace

TEST_CASE("connections beyond those that are expected, and a number of strangers, are shut as they come") {
  Door door;
  door.crowd.expect(4);
  const std::size_t most = Crowd::most_strangers + 4;
  std::deque<Stranger> strangers;
  for (std::size_t k = 0; k < most + 50; ++k) strangers.emplace_back(door.endpoint);
  CHECK(door.until_looking([&] { return door.crowd.turned_away() >= 50; }));
  CHECK(door.crowd.size() <= most);
  // Whoever goes makes room for somebody who speaks as it should.
  strangers.clear();
  CHECK(door.until_looking([&] { return door.crowd.size() == 0; }));
  CHECK(door.crowd.failed() >= most);
  Context elsewhere;
  Socket friendly(elsewhere, Socket::Pattern::dealer, "w0");
  friendly.connect(door.endpoint);
  CHECK(friendly.send(self_of(Role::worker), header_of(Type::pull), std::string_view()));
  CHECK(next(door.socket).header.type == Type::pull);
}

TEST_CASE("who is not let in while the patience lasts is shut, and who is may stay") {
  Door door(Seconds(0.2));
  Context elsewhere;
  Socket friendly(elsewhere, Socket::Pattern::dealer, "w0");
  friendly.connect(door.endpoint);
  CHECK(friendly.send(self_of(Role::worker), header_of(Type::pull), std::string_view()));
  const Message message = next(door.socket);
  door.look();
  door.crowd.let_in(message.descriptor);
  const Stranger stranger(door.endpoint);
  CHECK(door.until_looking([&] { return door.crowd.turned_away() == 1; }));
  while (!stranger.hear().empty()) continue;  // its end comes
  CHECK(friendly.send(self_of(Role::worker), header_of(Type::pull), std::string_view()));
  CHECK(next(door.socket).header.type == Type::pull);
  CHECK(door.crowd.size() == 1);
}

TEST_CASE("bytes that are no ZeroMQ, or the beginning of it, end their own connection only") {
  Door door;
  for (const std::string& bytes : {std::string("GET / HTTP/1.0\r\n\r\n"), std::string(4096, '\xff'),
                                   std::string("\xff\0\0\0\0\0\0\0\x01\x7f\x03", 11), std::string(1, '\0'),
                                   std::string("\x01\x00", 2), std::string(100000, 'a')}) {
    const Stranger stranger(door.endpoint);
    stranger.say(bytes);
  }
  CHECK(door.until_looking([&] { return door.crowd.size() == 0 && door.crowd.failed() >= 1; }));
  Context elsewhere;
  Socket friendly(elsewhere, Socket::Pattern::dealer, "w0");
  friendly.connect(door.endpoint);
  CHECK(friendly.send(self_of(Role::worker), header_of(Type::pull), std::string_view()));
  CHECK(next(door.socket).header.type == Type::pull);
}

TEST_CASE("a payload above the limit of its door ends its connection, and is never delivered") {
  Context context, elsewhere;
  Socket door(context, Socket::Pattern::router, "");
  door.limit_payload(1 << 20);
  Monitor monitor(context, door);
  const std::string endpoint = door.bind(loopback);
  Socket large(elsewhere, Socket::Pattern::dealer, "large"), small(elsewhere, Socket::Pattern::dealer, "small");
  large.connect(endpoint), small.connect(endpoint);
  CHECK(large.send(self_of(Role::worker), header_of(Type::pull), std::string(2 << 20, 'x')));
  int gone = 0;
  CHECK(until({&monitor.get()}, [&] {
    while (const auto event = monitor.next()) gone += event->what == Monitor::Event::What::disconnected ? 1 : 0;
    return gone > 0;
  }));
  CHECK(small.send(self_of(Role::worker), header_of(Type::pull), std::string(1 << 19, 'y')));
  const Message message = next(door);
  CHECK(message.peer == "small");
  CHECK_FALSE(door.receive(nonce));
}

namespace {

/// Passes bytes between one client and a door, and keeps what the client said.
std::string recorded_session(const std::string& endpoint, Authenticator& gate, Socket& door, const Keys& keys) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  Context elsewhere;
  Socket client(elsewhere, Socket::Pattern::dealer, "w0", &keys);
  client.connect(fmt::format("tcp://127.0.0.1:{}", ntohs(address.sin_port)));
  client.send(self_of(Role::worker), header_of(Type::join), std::string_view("let me in"));
  const int near = ::accept(listener, nullptr, nullptr);
  REQUIRE(near >= 0);
  const Stranger far(endpoint);
  std::string said;
  Poller poller;
  poller.add(near), poller.add(far.descriptor()), poller.add(gate.get()), poller.add(door.get());
  const Deadline deadline(long_enough);
  std::optional<Message> message;
  while (!message && !deadline.passed()) {
    poller.wait(100);
    char bytes[4096];
    if (poller.ready(0)) {
      const ssize_t got = ::recv(near, bytes, sizeof bytes, 0);
      if (got > 0) said.append(bytes, static_cast<std::size_t>(got)), far.say({bytes, static_cast<std::size_t>(got)});
    }
    if (poller.ready(1)) {
      const std::string answer = far.hear();
      [[maybe_unused]] const auto sent = ::send(near, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    gate.serve();
    message = door.receive(nonce);
  }
  CHECK(message);
  ::close(near), ::close(listener);
  return said;
}

}  // namespace

TEST_CASE("the bytes of an encrypted session, said once more, are not understood") {
  Context context;
  Authenticator gate(context);
  const KeyPair own = make_key_pair(), joiner = make_key_pair();
  const Keys keys = binding_keys(own, Authenticator::any_key), theirs = connecting_keys(joiner, own.public_key);
  Socket door(context, Socket::Pattern::router, "", &keys);
  Monitor monitor(context, door);
  const std::string endpoint = door.bind(loopback);
  const std::string said = recorded_session(endpoint, gate, door, theirs);
  CHECK(said.size() > 200);
  CHECK(said.find("let me in") == std::string::npos);
  while (monitor.next()) continue;
  const Stranger replay(endpoint);
  replay.say(said);
  bool failed = false;
  CHECK(until({&monitor.get(), &gate.get()}, [&] {
    gate.serve();
    while (const auto event = monitor.next()) failed = failed || event->what == Monitor::Event::What::handshake_failed;
    return failed;
  }));
  CHECK_FALSE(door.receive(nonce));
}
