#include "wire/socket.hpp"

#include <malloc.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "wire/endpoint.hpp"
#include "wire/slow_link.hpp"

namespace dtrain::wire {
namespace {

using namespace std::chrono_literals;

constexpr int refusals_in_a_row = 64;

/// In libzmq 4.3.4 the option works, but its name is kept among the drafts.
constexpr int zap_enforce_domain = 93;

int milliseconds(std::chrono::milliseconds time) { return static_cast<int>(time.count()); }

void set_connection_options(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::rcvhwm, 0);
  socket.set(zmq::sockopt::linger, milliseconds(1s));
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(max_payload_bytes));
  socket.set(zmq::sockopt::handshake_ivl, milliseconds(10s));
  socket.set(zmq::sockopt::connect_timeout, milliseconds(3s));
  socket.set(zmq::sockopt::reconnect_ivl, milliseconds(20ms));
  socket.set(zmq::sockopt::reconnect_ivl_max, milliseconds(500ms));
  socket.set(zmq::sockopt::backlog, 1024);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 10);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 5);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
}

void set_keys(zmq::socket_t& socket, const Keys& keys) {
  socket.set(zmq::sockopt::curve_publickey, keys.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
  if (!keys.server_key.empty()) {
    socket.set(zmq::sockopt::curve_serverkey, keys.server_key);
    return;
  }
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::zap_domain, keys.domain);
  const int enforced = 1;
  if (zmq_setsockopt(socket.handle(), zap_enforce_domain, &enforced, sizeof enforced) != 0)
    fail(Kind::environment, "this ZeroMQ cannot enforce who is admitted; encrypted links need libzmq 4.3 or newer");
}

std::span<const std::byte> bytes_of(const zmq::message_t& frame) {
  return {static_cast<const std::byte*>(frame.data()), frame.size()};
}

/// The frames of one message. `count` may exceed the three that are kept.
struct Frames {
  zmq::message_t frame[3];
  int count = 0;
};

/// False: nothing there.
bool receive_frame(zmq::socket_t& socket, zmq::message_t& frame) {
  while (zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT) < 0) {
    if (errno == EAGAIN) return false;
    if (errno != EINTR) fail(Kind::internal, "cannot receive: {}", zmq_strerror(errno));
  }
  return true;
}

/// All frames of the next message, which ZeroMQ delivers together or not at all.
bool receive_frames(zmq::socket_t& socket, Frames& frames) {
  if (!receive_frame(socket, frames.frame[0])) return false;
  frames.count = 1;
  zmq::message_t surplus;
  bool more = frames.frame[0].more();
  while (more) {
    zmq::message_t& next = frames.count < 3 ? frames.frame[frames.count] : surplus;
    if (!receive_frame(socket, next)) break;
    more = next.more();
    ++frames.count;
  }
  return true;
}

std::optional<std::string> payload_fault(const Header& header, const zmq::message_t& payload) {
  if (payload.size() != header.payload)
    return fmt::format("the header announces {} bytes, {} came", header.payload, payload.size());
  if (hashes_payload(header.type) && fast_hash(bytes_of(payload)) != header.payload_hash)
    return "the payload's hash is wrong";
  return std::nullopt;
}

std::optional<std::string> nonce_fault(const Header& header, std::uint64_t nonce) {
  const bool newcomer = header.type == Type::join && header.nonce == 0;
  if (nonce == 0 || header.nonce == nonce || newcomer) return std::nullopt;
  return "it belongs to another run";
}

void describe_connection(Message& message, zmq::message_t& header_frame) {
  message.descriptor = zmq_msg_get(header_frame.handle(), ZMQ_SRCFD);
  if (const char* user = zmq_msg_gets(header_frame.handle(), "User-Id")) message.user = user;
  if (message.header.type != Type::join) return;
  if (const char* address = zmq_msg_gets(header_frame.handle(), "Peer-Address")) message.address = address;
}

std::variant<Message, Refusal> open(Frames& frames, bool has_identity) {
  const int first = has_identity ? 1 : 0;
  const int parts = frames.count - first;
  if (parts < 1 || parts > 2) return Refusal{fmt::format("a message has 1 or 2 frames, not {}", parts)};
  zmq::message_t& header_frame = frames.frame[first];
  auto decoded = decode(bytes_of(header_frame));
  if (auto* refusal = std::get_if<Refusal>(&decoded)) return std::move(*refusal);
  Message message;
  message.header = std::get<Header>(decoded);
  if (parts == 2) message.payload = std::move(frames.frame[first + 1]);
  if (auto why = payload_fault(message.header, message.payload)) return Refusal{*std::move(why)};
  describe_connection(message, header_frame);
  return message;
}

/// A peer's identity as text that is safe to print.
std::string printable(const std::string& identity) {
  std::string text;
  for (const char c : identity) {
    if (c > ' ' && c < 0x7f)
      text += c;
    else
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text;
}

}  // namespace

void InFlight::release(void*, void* self) {
  std::atomic<int>& count = static_cast<InFlight*>(self)->count_;
  if (count.fetch_sub(1, std::memory_order_release) == 1) count.notify_all();
}

Socket::Socket(Context& context, Pattern pattern, const std::string& identity, const Keys* keys)
    : socket_(context.get(), pattern == Pattern::router ? ZMQ_ROUTER : ZMQ_DEALER), pattern_(pattern) {
  set_connection_options(socket_);
  if (pattern == Pattern::router) socket_.set(zmq::sockopt::router_mandatory, true);
  if (!identity.empty()) socket_.set(zmq::sockopt::routing_id, identity);
  if (keys != nullptr) set_keys(socket_, *keys);
}

Socket::~Socket() { leave_tails(); }

Socket::Socket(Socket&& other) noexcept
    : socket_(std::move(other.socket_)),
      pattern_(other.pattern_),
      memory_(other.memory_),
      numbers_(std::move(other.numbers_)),
      counters_(other.counters_),
      refused_(other.refused_),
      retired_(std::move(other.retired_)),
      tells_losses_(other.tells_losses_),
      mischief_(other.mischief_),
      tails_(std::exchange(other.tails_, nullptr)),
      slow_(std::move(other.slow_)) {
  if (tails_ != nullptr) std::replace(tails_->sockets_.begin(), tails_->sockets_.end(), &other, this);
}

void Socket::leave_tails() noexcept {
  if (tails_ != nullptr) std::erase(tails_->sockets_, this);
  tails_ = nullptr;
}

void Socket::mind_tail(Tails& tails) {
  leave_tails();
  tails_ = &tails;
  tails.sockets_.push_back(this);
}

void Tails::tell(const Self& self) {
  for (Socket* socket : sockets_) socket->tell_tail(self, Clock::now());
}

void Socket::abandon() { socket_.set(zmq::sockopt::linger, 0); }

void Socket::slow_down(SlowLink& link) { slow_ = std::make_unique<Slowed>(link, socket_); }

/// With IPv6 on, ZeroMQ looks names up as IPv6 first and tries no second address: "localhost" would never reach a
/// listener on 127.0.0.1.
/// Heartbeats tell of hosts and networks that vanish. A Unix socket cannot vanish silently, and a process that is only
/// stopped for a while, or starved of cores, should not lose its connections for it.
void Socket::suit(const std::string& endpoint) {
  socket_.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
  if (endpoint.starts_with("ipc://")) return;
  socket_.set(zmq::sockopt::heartbeat_ivl, milliseconds(250ms));
  socket_.set(zmq::sockopt::heartbeat_timeout, milliseconds(1s));
  socket_.set(zmq::sockopt::heartbeat_ttl, milliseconds(1s));
}

void Socket::limit_payload(std::size_t bytes) {
  socket_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(bytes));
}

std::string Socket::bind(const std::string& endpoint) {
  suit(endpoint);
  if (zmq_bind(socket_.handle(), endpoint.c_str()) != 0) fail_to("listen on", endpoint, errno);
  return reachable(socket_.get(zmq::sockopt::last_endpoint));
}

void Socket::connect(const std::string& endpoint) {
  suit(endpoint);
  if (zmq_connect(socket_.handle(), endpoint.c_str()) != 0) fail_to("connect to", endpoint, errno);
}

namespace {

void sign(const Self& self, Header& header) {
  header.sender_role = self.role;
  header.sender_rank = self.rank;
  header.nonce = self.nonce;
  header.incarnation = self.incarnation;
  header.epoch = self.epoch;
}

/// Whether one of so many is due; it is not any more then.
bool take_one(int& count) { return count > 0 && count-- > 0; }

}  // namespace

bool Socket::send_message(const Self& self, Header& header, zmq::message_t payload, const std::string& peer) {
  sign(self, header);
  std::uint64_t& sent = numbers_.sent_to(peer);
  const bool numbered = header.type != Type::join;  // who joins may be anybody, and may have to say it again
  header.sequence = numbered ? sent + 1 : 0;
  header.payload = payload.size();
  zmq::message_t again;
  const bool lost = mischief_ != nullptr && take_one(mischief_->drop);
  const bool twice = !lost && mischief_ != nullptr && take_one(mischief_->duplicate);
  if (twice) again.copy(payload);
  if (!lost && !hand_over(header, std::move(payload), peer)) return false;
  if (twice) hand_over(header, std::move(again), peer);
  if (numbered) ++sent;
  ++counters_.messages_sent;
  counters_.payload_sent += header.block != 0 ? 4 * header.count : header.payload;
  counters_.wire_sent += header_bytes + header.payload;
  return true;
}

/// To ZeroMQ or, over a slow link, to what keeps it until it may leave. False if the peer is gone or never came.
bool Socket::hand_over(const Header& header, zmq::message_t payload, const std::string& peer) {
  const auto bytes = encode(header);
  Parcel parcel{std::nullopt, zmq::message_t(bytes.data(), bytes.size()), std::move(payload)};
  if (pattern_ == Pattern::router) parcel.peer = peer;
  if (!slow_) return send_now(socket_, parcel);
  slow_->put(std::move(parcel), header_bytes + header.payload);
  return true;
}

void Socket::tell_tail(const Self& self, Clock::time_point now) {
  for (const Numbers::Tail& tail : numbers_.silent(now)) {
    Header header;
    header.type = Type::sent;
    header.sequence = tail.sent;
    header.payload_hash = fast_hash({});
    sign(self, header);
    hand_over(header, zmq::message_t(), tail.peer);
  }
}

bool Socket::send(const Self& self, Header header, std::span<const std::byte> payload, const std::string& peer) {
  header.payload_hash = hashes_payload(header.type) ? fast_hash(payload) : 0;
  return send_message(self, header, zmq::message_t(payload.data(), payload.size()), peer);
}

bool Socket::send(const Self& self, Header header, std::string_view text, const std::string& peer) {
  return send(self, header, std::as_bytes(std::span(text.data(), text.size())), peer);
}

bool Socket::send_floats(const Self& self, Header header, std::span<const float> values, InFlight& in_flight,
                         const std::string& peer) {
  header.payload_hash = 0;
  if (values.empty()) return send_message(self, header, zmq::message_t(), peer);
  if (const auto lies = memory_ != nullptr ? memory_->locate(values) : std::nullopt) {
    header.block = lies->block, header.place = lies->place, header.at = lies->at;
    in_flight.add(*lies->readers);
    const bool lost = loses_next();
    const bool sent = send_message(self, header, zmq::message_t(), peer);
    if (lost || !sent) lies->readers->fetch_sub(1, std::memory_order_relaxed);  // nobody will
    return sent;
  }
  in_flight.add();
  // ZeroMQ only reads from a message that it is given to send.
  zmq::message_t payload(const_cast<float*>(values.data()), values.size_bytes(), &InFlight::release, &in_flight);
  return send_message(self, header, std::move(payload), peer);
}

bool Socket::forward(const Self& self, Message message, const std::string& peer) {
  Header header = message.header;
  header.block = header.place = header.at = 0;
  zmq::message_t payload =
      message.reading ? zmq::message_t(message.data(), message.size()) : std::move(message.payload);
  return send_message(self, header, std::move(payload), peer);
}

/// Floats that lie in a block: only where both ends have agreed to that.
std::optional<std::string> Socket::find_floats(Message& message) {
  if (message.header.block == 0) return std::nullopt;
  if (memory_ == nullptr) return "its floats lie in shared memory, and this connection has none";
  auto read = memory_->read(message.header);
  if (auto* refusal = std::get_if<Refusal>(&read)) return std::move(refusal->why);
  message.reading = std::get<Reading>(std::move(read));
  return std::nullopt;
}

/// What was here before is refused: before its floats are found, since it was counted as a reader of them once.
std::optional<Refusal> Socket::count_in(Message& message, const std::string& peer) {
  const Header& header = message.header;
  if (header.type == Type::join) return std::nullopt;
  if (header.type == Type::sent) {
    message.missing = numbers_.arrived_all(peer, header.incarnation, header.sequence);
  } else {
    const Numbers::Arrival arrival = numbers_.arrived(peer, header.incarnation, header.sequence);
    if (arrival.duplicate)
      return Refusal{fmt::format("message {} of {} {} was here before", header.sequence, wire::name(header.sender_role),
                                 header.sender_rank)};
    message.missing = arrival.missing;
  }
  if (message.missing == 0 || tells_losses_) return std::nullopt;
  const std::uint64_t last = header.sequence - (header.type == Type::sent ? 0 : 1);
  fail(Kind::lost, "{} of {} {} ({}) {} lost on the way to us",
       message.missing == 1 ? "a message" : fmt::format("{} messages", message.missing), wire::name(header.sender_role),
       header.sender_rank,
       message.missing == 1 ? fmt::format("number {}", last)
                            : fmt::format("numbers {} to {}", last - message.missing + 1, last),
       message.missing == 1 ? "was" : "were");
}

std::optional<Message> Socket::receive(std::uint64_t nonce, const std::function<void(const std::string&)>& on_refusal) {
  if (!slow_) return receive_now(nonce, on_refusal);
  slow_->let_leave(Clock::now());
  while (auto message = receive_now(nonce, on_refusal)) slow_->hold(std::move(*message));
  slow_->note_empty();
  return slow_->take();
}

std::optional<Message> Socket::receive_now(std::uint64_t nonce,
                                           const std::function<void(const std::string&)>& on_refusal) {
  const bool has_identity = pattern_ == Pattern::router;
  for (int refusals = 0; refusals < refusals_in_a_row; ++refusals) {
    Frames frames;
    if (!receive_frames(socket_, frames)) return std::nullopt;
    const std::string peer = has_identity ? frames.frame[0].to_string() : std::string();
    auto opened = open(frames, has_identity);
    if (auto* message = std::get_if<Message>(&opened)) {
      if (std::count(retired_.begin(), retired_.end(), message->header.nonce) > 0) continue;
      if (auto why = nonce_fault(message->header, nonce)) opened = Refusal{*std::move(why)};
    }
    if (auto* message = std::get_if<Message>(&opened))
      if (auto refusal = count_in(*message, peer)) opened = *std::move(refusal);
    if (auto* message = std::get_if<Message>(&opened))
      if (auto why = find_floats(*message)) opened = Refusal{*std::move(why)};
    if (auto* message = std::get_if<Message>(&opened)) {
      if (message->header.type == Type::sent && message->missing == 0) continue;
      ++counters_.messages_received;
      counters_.payload_received += message->size();
      counters_.wire_received += header_bytes + message->header.payload;
      message->peer = peer;
      return std::move(*message);
    }
    ++refused_;
    const std::string& why = std::get<Refusal>(opened).why;
    if (on_refusal) on_refusal(has_identity ? fmt::format("from {}: {}", printable(peer), why) : why);
  }
  return std::nullopt;
}

void keep_large_blocks() {
  constexpr int largest_threshold = 32 << 20;  // glibc takes no more
  mallopt(M_MMAP_THRESHOLD, largest_threshold);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);  // also keeps the I/O threads' heaps, which are 64 MiB each, from being unmapped
}

}  // namespace dtrain::wire
