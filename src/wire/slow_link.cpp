#include "wire/slow_link.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace dtrain::wire {
namespace {

Seconds since_start(Clock::time_point at) { return at.time_since_epoch(); }

Clock::time_point at(Seconds since_start) { return Clock::time_point(std::chrono::ceil<Clock::duration>(since_start)); }

bool send_frame(zmq::socket_ref socket, zmq::message_t& frame, bool more) {
  while (zmq_msg_send(frame.handle(), socket.handle(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
    if (errno == EAGAIN || errno == EHOSTUNREACH) return false;
    if (errno != EINTR) fail(Kind::internal, "cannot send: {}", zmq_strerror(errno));
  }
  return true;
}

}  // namespace

SlowLink::SlowLink(double bits_per_second, Seconds latency)
    : out_(bits_per_second, latency),
      in_(bits_per_second, Seconds(0)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (timer_ < 0) fail(Kind::environment, "cannot make a timer: {}", std::strerror(errno));
}

SlowLink::~SlowLink() { ::close(timer_); }

Clock::time_point SlowLink::leaves_at(std::size_t bytes, Clock::time_point now) {
  return at(out_.pass(bytes, since_start(now)) + longer_);
}

Clock::time_point SlowLink::seen_at(std::size_t bytes, Clock::time_point since, Clock::time_point now) {
  const Seconds earliest = std::min(since_start(since), since_start(now) - in_.time_of(bytes));
  return at(in_.pass(bytes, earliest, since_start(now)));
}

int SlowLink::wake_at(Clock::time_point due) {
  using std::chrono::nanoseconds;
  const auto whole = std::chrono::duration_cast<nanoseconds>(due.time_since_epoch()).count();
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(whole / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(whole % 1'000'000'000);
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
  return timer_;
}

bool send_now(zmq::socket_ref socket, Parcel& parcel) {
  if (parcel.peer) {
    zmq::message_t identity(parcel.peer->data(), parcel.peer->size());
    if (!send_frame(socket, identity, true)) return false;
  }
  const bool has_payload = parcel.payload.size() > 0;
  if (!send_frame(socket, parcel.header, has_payload)) return false;
  return !has_payload || send_frame(socket, parcel.payload, false);
}

Slowed::Slowed(SlowLink& link, zmq::socket_ref socket) : link_(link), socket_(socket), empty_at_(Clock::now()) {}

Slowed::~Slowed() { let_leave(Clock::time_point::max()); }

void Slowed::put(Parcel parcel, std::size_t bytes) {
  const Clock::time_point now = Clock::now();
  outgoing_.push_back({link_.leaves_at(bytes, now), std::move(parcel)});
  let_leave(now);
}

/// A peer that has gone meanwhile misses nothing that it could still take.
void Slowed::let_leave(Clock::time_point now) {
  for (; !outgoing_.empty() && outgoing_.front().due <= now; outgoing_.pop_front())
    send_now(socket_, outgoing_.front().what);
}

void Slowed::hold(Message message) {
  const std::size_t bytes = header_bytes + message.payload.size();
  incoming_.push_back({link_.seen_at(bytes, empty_at_, Clock::now()), std::move(message)});
}

std::optional<Message> Slowed::take() {
  if (!has_arrived()) return std::nullopt;
  std::optional<Message> message(std::move(incoming_.front().what));
  incoming_.pop_front();
  return message;
}

std::optional<Clock::time_point> Slowed::due() const {
  std::optional<Clock::time_point> first;
  if (!outgoing_.empty()) first = outgoing_.front().due;
  if (!incoming_.empty() && (!first || incoming_.front().due < *first)) first = incoming_.front().due;
  return first;
}

}  // namespace dtrain::wire
