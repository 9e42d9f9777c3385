#pragma once
/// Sockets of a role: all of them owned and used by one thread. The only door to ZeroMQ.
///
/// Every wait has a deadline and is done by poll() alone; send and receive never block.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <zmq.hpp>

#include "wire/frame.hpp"

namespace dtrain::wire {

/// Who signs what this role sends.
struct Self {
  Role role{};
  std::uint32_t rank = 0;
  std::uint64_t nonce = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t epoch = 0;
};

/// A received message. The payload stays in ZeroMQ's memory until this object dies or is overwritten; it may not be
/// aligned for float if it is short.
struct Message {
  Header header;
  zmq::message_t payload;
  std::string peer;     ///< ROUTER only: identity to answer to
  int descriptor = -1;  ///< of the connection it came by, to match with a disconnect; -1 if unknown
  std::string_view text() const { return payload.to_string_view(); }
};

/// Counts sends of one block of memory that ZeroMQ has not finished with. The block may be written only at zero.
/// Decremented on ZeroMQ's thread.
class InFlight {
 public:
  bool idle() const { return count_.load(std::memory_order_acquire) == 0; }
  void add() { count_.fetch_add(1, std::memory_order_relaxed); }
  static void release(void* data, void* self);  // zmq_free_fn

 private:
  std::atomic<int> count_{0};
};

/// Bytes and messages that crossed a socket, payload and headers apart.
struct Counters {
  std::uint64_t messages_sent = 0, messages_received = 0;
  std::uint64_t payload_sent = 0, payload_received = 0;
  std::uint64_t wire_sent = 0, wire_received = 0;  ///< headers and payloads
};

/// A ZeroMQ context with its I/O thread. Outlives its sockets; its destructor waits at most for their LINGER.
class Context {
 public:
  explicit Context(int io_threads = 1);
  zmq::context_t& get() { return context_; }

 private:
  zmq::context_t context_;
};

/// Keys of one end, and of the other (Z85); empty strings: no CURVE.
struct Keys {
  std::string public_key, secret_key;
  std::string server_key;  ///< a connecting end: the public key it expects
};

class Socket {
 public:
  enum class Pattern { router, dealer };
  /// Sets ROUTER_MANDATORY, IMMEDIATE, LINGER, HEARTBEAT (250 ms, time-out 1 s), MAXMSGSIZE, unlimited marks; IPv6.
  /// `identity`: DEALER only.
  Socket(Context& context, Pattern pattern, const std::string& identity, const Keys* keys = nullptr);

  /// Returns the endpoint that others connect to (a wildcard port resolved). Throws Error(Kind::environment) that names
  /// the endpoint and the remedy (port in use, no such address, permission).
  std::string bind(const std::string& endpoint);
  void connect(const std::string& endpoint);

  /// Queues a message; the payload is copied. `peer` for ROUTER. False if the peer is gone (ROUTER) or never came.
  bool send(const Self& self, Header header, std::span<const std::byte> payload, const std::string& peer = {});
  bool send(const Self& self, Header header, std::string_view text, const std::string& peer = {});
  /// Queues floats without copying: `values` must stay untouched until `in_flight` is idle again.
  bool send_floats(const Self& self, Header header, std::span<const float> values, InFlight& in_flight,
                   const std::string& peer = {});

  /// The next message, or nullopt if there is none now. Messages that do not decode, or carry another nonce than
  /// `nonce`, are dropped and counted in refused(), with the reason given to `on_refusal`.
  std::optional<Message> receive(std::uint64_t nonce, const std::function<void(const std::string&)>& on_refusal = {});

  zmq::socket_t& get() { return socket_; }
  const Counters& counters() const { return counters_; }
  std::uint64_t refused() const { return refused_; }

 private:
  zmq::socket_t socket_;
  Pattern pattern_;
  std::uint64_t sequence_ = 0;
  Counters counters_;
  std::uint64_t refused_ = 0;
};

/// Tells when connections of a socket come and go, heartbeat time-outs included. Polled like a socket.
class Monitor {
 public:
  Monitor(Context& context, Socket& watched);
  ~Monitor();
  struct Event {
    enum class What { connected, disconnected, handshake_failed } what;
    int descriptor;
    std::string endpoint;
  };
  std::optional<Event> next();
  zmq::socket_t& get() { return pair_; }

 private:
  zmq::socket_t pair_;
};

/// Waits until something is readable or the time is up; EINTR counts as nothing readable. At most `timeout_ms`.
/// ready[k] tells whether item k is readable.
class Poller {
 public:
  void add(Socket& socket) { add(socket.get()); }
  void add(zmq::socket_t& socket);
  void add(int descriptor);
  void clear() { items_.clear(); }
  /// True if anything is readable.
  bool wait(int timeout_ms);
  bool ready(std::size_t k) const { return (items_[k].revents & ZMQ_POLLIN) != 0; }

 private:
  std::vector<zmq::pollitem_t> items_;
};

/// Tells malloc to keep large blocks instead of returning them to the kernel: receiving MiBs then costs no page faults.
void keep_large_blocks();

}  // namespace dtrain::wire
