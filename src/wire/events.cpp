#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "wire/slow_link.hpp"
#include "wire/socket.hpp"

namespace dtrain::wire {
namespace {

constexpr int failures =
    ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
constexpr int arrivals = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED;
constexpr int watched_events = arrivals | failures | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;

/// The first frame of an event, as zmq_socket_monitor(3) lays it out, in the host's byte order.
Monitor::Event read_event(const zmq::message_t& frame) {
  std::uint16_t number = 0;
  std::int32_t value = -1;
  if (frame.size() >= sizeof number + sizeof value) {
    std::memcpy(&number, frame.data(), sizeof number);
    std::memcpy(&value, static_cast<const char*>(frame.data()) + sizeof number, sizeof value);
  }
  using What = Monitor::Event::What;
  if ((number & arrivals) != 0) return {What::connected, value, {}};
  if (number == ZMQ_EVENT_DISCONNECTED) return {What::disconnected, value, {}};
  const bool no_detail = number == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
  if (no_detail && value == ECONNRESET) return {What::cut, -1, {}};
  if (no_detail) return {What::handshake_failed, -1, {}, true};
  return {number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? What::ready : What::handshake_failed, -1, {}};
}

bool receive_frame(zmq::socket_t& socket, zmq::message_t& frame) {
  int received;
  do {
    received = zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  return received >= 0;
}

}  // namespace

Monitor::Monitor(Context& context, Socket& watched) : pair_(context.get(), ZMQ_PAIR), watched_(watched.get().handle()) {
  const std::string address = fmt::format("inproc://monitor-{}", hex(entropy()));
  pair_.set(zmq::sockopt::linger, 0);
  pair_.set(zmq::sockopt::rcvhwm, 0);
  if (zmq_socket_monitor(watched_, address.c_str(), watched_events) != 0)
    fail(Kind::internal, "cannot watch a socket: {}", zmq_strerror(errno));
  pair_.connect(address);
}

Monitor::~Monitor() { zmq_socket_monitor(watched_, nullptr, 0); }

std::optional<Monitor::Event> Monitor::next() {
  zmq::message_t frame;
  if (!receive_frame(pair_, frame)) return std::nullopt;
  Event event = read_event(frame);
  while (frame.more() && receive_frame(pair_, frame)) event.endpoint = frame.to_string();
  return event;
}

void Poller::add(Socket& socket) {
  if (socket.slow_) slow_.push_back({items_.size(), socket.slow_.get()});
  add(socket.get());
}

void Poller::add(zmq::socket_t& socket) { items_.push_back({socket.handle(), 0, ZMQ_POLLIN, 0}); }

void Poller::add(int descriptor) { items_.push_back({nullptr, descriptor, ZMQ_POLLIN, 0}); }

bool Poller::wait(int timeout_ms) {
  const std::optional<Clock::time_point> due = next_due();
  if (!due) return poll(timeout_ms);
  items_.push_back({nullptr, slow_.front().slowed->link().wake_at(*due), ZMQ_POLLIN, 0});
  poll(timeout_ms);
  items_.pop_back();
  for (const Item& item : slow_) item.slowed->let_leave(Clock::now());
  return mark_arrived();
}

bool Poller::poll(int timeout_ms) {
  const int readable = zmq_poll(items_.data(), static_cast<int>(items_.size()), timeout_ms);
  if (readable >= 0) return readable > 0;
  if (errno != EINTR) fail(Kind::internal, "cannot wait: {}", zmq_strerror(errno));
  for (auto& item : items_) item.revents = 0;
  return false;
}

std::optional<Clock::time_point> Poller::next_due() {
  std::optional<Clock::time_point> first;
  for (const Item& item : slow_)
    if (const auto due = item.slowed->due(); due && (!first || *due < *first)) first = due;
  return first;
}

/// Whether anything is readable, messages counted that only now may be seen.
bool Poller::mark_arrived() {
  for (const Item& item : slow_)
    if (item.slowed->has_arrived()) items_[item.number].revents |= ZMQ_POLLIN;
  return std::any_of(items_.begin(), items_.end(), [](const zmq::pollitem_t& item) { return item.revents != 0; });
}

}  // namespace dtrain::wire
