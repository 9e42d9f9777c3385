#pragma once
/// Sockets of a role: all of them owned and used by one thread. The only door to ZeroMQ.
///
/// Every wait has a deadline and is done by Poller alone; send and receive never block. Queues are unlimited: credits
/// belong to the protocol above. Nothing here throws for bytes or peers from outside.
///
/// ZMQ_IMMEDIATE stays off: a role connects and says `join` at once, and the message waits for the connection, however
/// long the other end takes to bind. So a dealer's send always succeeds; that its peer died is told by a Monitor. What
/// waits in a dealer's queue keeps its InFlight busy until the peer is back or the socket is closed.

#include <algorithm>
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

#include "base/time.hpp"
#include "wire/frame.hpp"
#include "wire/mischief.hpp"
#include "wire/numbers.hpp"
#include "wire/shared.hpp"

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
/// aligned for float if it is short. Floats that lie in a block stay there, and the block as it is, for as long.
struct Message {
  Header header;
  zmq::message_t payload;
  Reading reading;            ///< where header.block is not 0
  std::string peer;           ///< ROUTER only: identity to answer to
  int descriptor = -1;        ///< of the connection it came by, to match with a disconnect; -1 if unknown
  std::string user;           ///< the sender's public key (Z85) as its CURVE handshake proved it; "" without CURVE
  std::string address;        ///< of a `join` by tcp: the sender's, as we see it
  std::uint64_t missing = 0;  ///< messages of its sender that were lost before it (Socket::tell_losses)
  std::string_view text() const { return payload.to_string_view(); }
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data()), size()}; }
  /// What was sent, wherever it lies.
  const void* data() const { return reading ? reading.values().data() : payload.data(); }
  std::size_t size() const { return reading ? reading.values().size_bytes() : payload.size(); }
};

/// Counts sends of one block of memory that ZeroMQ, or whoever reads shared memory, has not finished with. The block
/// may be written only when idle. Decremented on ZeroMQ's thread, and by readers. The block must outlive it, and it the
/// sockets that send (declare it between them): its destructor waits until ZeroMQ has let go, at most LINGER after the
/// last of them has closed.
class InFlight {
 public:
  InFlight() = default;
  ~InFlight() {
    for (int count = count_.load(std::memory_order_acquire); count != 0; count = count_.load(std::memory_order_acquire))
      count_.wait(count, std::memory_order_acquire);
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  bool idle() const {
    return count_.load(std::memory_order_acquire) == 0 &&
           std::all_of(readers_.begin(), readers_.end(),
                       [](const auto* readers) { return readers->load(std::memory_order_acquire) == 0; });
  }
  void add() { count_.fetch_add(1, std::memory_order_relaxed); }
  /// The same for floats in shared memory, by its own count of those who read there.
  void add(std::atomic<std::uint32_t>& readers) {
    readers.fetch_add(1, std::memory_order_relaxed);
    if (std::find(readers_.begin(), readers_.end(), &readers) == readers_.end()) readers_.push_back(&readers);
  }
  static void release(void* data, void* self);  // zmq_free_fn

 private:
  std::atomic<int> count_{0};
  std::vector<std::atomic<std::uint32_t>*> readers_;
};

/// Bytes and messages that crossed a socket. Refused messages and what ZeroMQ adds (identities, framing) do not count.
struct Counters {
  std::uint64_t messages_sent = 0, messages_received = 0;
  std::uint64_t payload_sent = 0, payload_received = 0;
  std::uint64_t wire_sent = 0, wire_received = 0;  ///< headers, and payloads that do not lie in shared memory
};

/// The largest payload that a peer accepts (a larger one ends the connection), and the size of the pieces in which
/// floats are best sent (measured by tests/bench/transport.cpp).
inline constexpr std::size_t max_payload_bytes = std::size_t{64} << 20;
inline constexpr std::size_t piece_bytes = std::size_t{1} << 20;

/// A ZeroMQ context with its I/O thread. Outlives its sockets; its destructor waits at most for their LINGER (1 s).
class Context {
 public:
  explicit Context(int io_threads = 1) : context_(io_threads) {}
  zmq::context_t& get() { return context_; }

 private:
  zmq::context_t context_;
};

/// Keys of one end, and of the other (Z85).
struct Keys {
  std::string public_key, secret_key;
  std::string server_key;  ///< a connecting end: the public key it expects. "": this end binds
  std::string domain;      ///< a binding end: whom the Authenticator admits (wire/security.hpp)
};

class SlowLink;  // wire/slow_link.hpp
class Slowed;
class Socket;

/// Sockets that, when they fall silent, say how much they sent, so that the loss of a last message is found too.
/// Outlives them. One thread, theirs.
class Tails {
 public:
  Tails() = default;
  Tails(const Tails&) = delete;
  Tails& operator=(const Tails&) = delete;
  /// Call it several times a second.
  void tell(const Self& self);

 private:
  friend class Socket;
  std::vector<Socket*> sockets_;
};

class Socket {
 public:
  enum class Pattern { router, dealer };
  /// Sets ROUTER_MANDATORY, LINGER (1 s), HEARTBEAT (250 ms, time-out 1 s), MAXMSGSIZE, HANDSHAKE_IVL, unlimited marks.
  /// `identity`: DEALER only, 1 to 255 bytes, the first not zero; "" lets the router choose.
  Socket(Context& context, Pattern pattern, const std::string& identity, const Keys* keys = nullptr);

  ~Socket();
  Socket(Socket&& other) noexcept;

  /// The peer is gone for good: what was not sent yet is not waited for when this closes.
  void abandon();

  /// From here on messages take the time that such a link takes, both ways: send() and send_floats() keep them, in
  /// order, and receive() holds them back. What was kept and finds its peer gone is dropped. `link` outlives this.
  void slow_down(SlowLink& link);

  /// From the next bind or connect on, a larger payload ends the connection that it comes by; at first
  /// max_payload_bytes. What strangers may say should be short: a message is read whole before anybody judges it.
  void limit_payload(std::size_t bytes);
  /// From here on what is sent gets lost, or comes twice, as `mischief` says. It outlives this.
  void suffer(Mischief& mischief) { mischief_ = &mischief; }

  /// Has `tails` say how much was sent whenever this falls silent.
  void mind_tail(Tails& tails);

  /// Returns the endpoint that others connect to: a wildcard port resolved, and a wildcard address replaced by this
  /// host's first address off loopback. IPv6 only for addresses in brackets. Throws Error(Kind::environment) that names
  /// the endpoint and the remedy (port in use, no such address, permission, a socket path over 107 bytes).
  std::string bind(const std::string& endpoint);
  /// Returns at once, whether or not anybody listens yet. Throws as bind() does, for an endpoint that cannot be one.
  void connect(const std::string& endpoint);

  /// Queues a message; the payload is copied. `peer` for ROUTER. False if the peer is gone (ROUTER) or never came.
  /// Of `header`, what `self` says, sequence, payload and payload_hash are filled in here.
  bool send(const Self& self, Header header, std::span<const std::byte> payload, const std::string& peer = {});
  bool send(const Self& self, Header header, std::string_view text, const std::string& peer = {});
  /// From now on floats that lie in an arena of `memory` are not sent, but read there by whoever gets the message: for
  /// sockets whose other ends are roles of this machine that do the same. `memory` outlives this.
  void share(SharedMemory& memory) { memory_ = &memory; }

  /// Queues floats without copying: `values` must stay untouched until `in_flight` is idle again.
  bool send_floats(const Self& self, Header header, std::span<const float> values, InFlight& in_flight,
                   const std::string& peer = {});
  /// Queues a message that was received in our own name, without copying its payload (floats in a block are copied).
  bool forward(const Self& self, Message message, const std::string& peer = {});

  /// The next message, or nullopt if there is none now. Messages that do not decode, whose payload is not what their
  /// header says, or that carry another nonce than `nonce`, are dropped and counted in refused(), with the reason given
  /// to `on_refusal`. Two exceptions for who has not been told the nonce yet: `nonce` 0 takes any, and a `join` may
  /// carry 0. nullopt may also come after many refusals in a row: poll again.
  /// A message that was here before is refused too. Throws Error(Kind::lost) where messages have been lost, naming
  /// sender and numbers, unless tell_losses() was called.
  std::optional<Message> receive(std::uint64_t nonce, const std::function<void(const std::string&)>& on_refusal = {});

  /// For sockets that anybody can reach: receive() does not throw for lost messages, but says how many on the next one.
  void tell_losses() { tells_losses_ = true; }

  /// What carries this nonce, of an attempt that is over, may still be on its way: it is dropped, and not counted.
  void retire(std::uint64_t nonce) { retired_.push_back(nonce); }

  zmq::socket_t& get() { return socket_; }
  const Counters& counters() const { return counters_; }
  std::uint64_t refused() const { return refused_; }

 private:
  friend class Tails;
  bool send_message(const Self& self, Header& header, zmq::message_t payload, const std::string& peer);
  bool hand_over(const Header& header, zmq::message_t payload, const std::string& peer);
  bool loses_next() const { return mischief_ != nullptr && mischief_->drop > 0; }
  void tell_tail(const Self& self, Clock::time_point now);
  std::optional<Refusal> count_in(Message& message, const std::string& peer);
  void leave_tails() noexcept;
  std::optional<Message> receive_now(std::uint64_t nonce, const std::function<void(const std::string&)>& on_refusal);
  std::optional<std::string> find_floats(Message& message);
  void suit(const std::string& endpoint);

  zmq::socket_t socket_;
  Pattern pattern_;
  SharedMemory* memory_ = nullptr;
  Numbers numbers_;
  Counters counters_;
  std::uint64_t refused_ = 0;
  std::vector<std::uint64_t> retired_;  ///< nonces
  bool tells_losses_ = false;
  Mischief* mischief_ = nullptr;
  Tails* tails_ = nullptr;
  friend class Poller;
  std::unique_ptr<Slowed> slow_;  ///< dies before the socket that it sends by
};

/// Tells when connections of a socket come and go, heartbeat time-outs included. Polled like a socket.
///
/// Must die before the socket that it watches. It is another queue than the socket's own: on `disconnected`, first take
/// the messages that are still waiting, the last of which may say why. The kernel gives a descriptor to the next
/// connection once it is free.
class Monitor {
 public:
  Monitor(Context& context, Socket& watched);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  struct Event {
    /// connected: bytes can flow. ready: the handshake is done, messages can flow. handshake_failed: wrong keys, not
    /// admitted, not ZeroMQ; cut: the other end reset the connection before that, for it has too many (wire/crowd.hpp),
    /// say. After both, `disconnected` follows.
    enum class What { connected, ready, disconnected, handshake_failed, cut } what;
    int descriptor;        ///< connected and disconnected; -1 otherwise
    std::string endpoint;  ///< ours if we bound it
    /// handshake_failed at an end that connects: nothing was said against it, and ZeroMQ tries again. (So it does after
    /// `cut`.)
    bool tried_again = false;
  };
  std::optional<Event> next();
  zmq::socket_t& get() { return pair_; }

 private:
  zmq::socket_t pair_;
  void* watched_;
};

/// Waits until something is readable or the time is up. Items are numbered from 0 in the order of add(). Over a slow
/// link also until the next message may leave, which it then does, or may be seen.
class Poller {
 public:
  void add(Socket& socket);
  void add(zmq::socket_t& socket);
  void add(int descriptor);
  void clear() { items_.clear(), slow_.clear(); }
  /// At most `timeout_ms`; a signal ends it with nothing readable. True if anything is readable.
  bool wait(int timeout_ms);
  /// Whether item k was readable (or its connection broken) at the end of the last wait.
  bool ready(std::size_t k) const { return (items_[k].revents & (ZMQ_POLLIN | ZMQ_POLLERR)) != 0; }

 private:
  struct Item {
    std::size_t number;
    Slowed* slowed;
  };
  bool poll(int timeout_ms);
  std::optional<Clock::time_point> next_due();
  bool mark_arrived();

  std::vector<zmq::pollitem_t> items_;
  std::vector<Item> slow_;
};

/// Tells malloc to keep large blocks instead of returning them to the kernel: receiving MiBs then costs no page faults.
/// For the whole process; call it first, before threads start.
void keep_large_blocks();

}  // namespace dtrain::wire
