#pragma once
/// What the tests of the wire share: a folder of their own, and waiting for events instead of for time.

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "wire/socket.hpp"

namespace dtrain::wire::test {

namespace fs = std::filesystem;

inline constexpr std::uint64_t nonce = 0x1234;
inline constexpr Seconds long_enough{20};
inline constexpr const char* loopback = "tcp://127.0.0.1:*";

inline Self self_of(Role role, std::uint32_t rank = 0) { return {role, rank, nonce, 77, 3}; }

inline Header header_of(Type type) {
  Header header;
  header.type = type;
  return header;
}

/// Calls `done` whenever one of the sockets is readable, until it is true. False if it never was.
template <class Done>
bool until(const std::vector<zmq::socket_t*>& sockets, Done done) {
  const Deadline deadline(long_enough);
  Poller poller;
  for (auto* socket : sockets) poller.add(*socket);
  while (!done()) {
    if (deadline.passed()) return false;
    poller.wait(deadline.milliseconds(1000));
  }
  return true;
}

inline Message next(Socket& socket, std::uint64_t expected_nonce = nonce) {
  std::optional<Message> message;
  REQUIRE(until({&socket.get()}, [&] { return (message = socket.receive(expected_nonce)).has_value(); }));
  return std::move(*message);
}

/// ZeroMQ's thread, or another process, lets go of a message some time after it was sent.
inline bool becomes_idle(const InFlight& in_flight) {
  const Deadline deadline(long_enough);
  while (!in_flight.idle() && !deadline.passed()) std::this_thread::yield();
  return in_flight.idle();
}

inline std::string thrown(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::environment);
    return error.what();
  }
  return "";
}

struct Scratch {
  Scratch() {
    std::string name = (fs::temp_directory_path() / "wire-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

}  // namespace dtrain::wire::test
