#pragma once
/// A role's link to all others, slow on purpose: what its data sockets send waits here until it may leave, and what
/// they received until it may be seen.
///
/// A message takes as long as its sender's link and its receiver's allow (both at once: it is received while it is
/// sent), and the latency once. Nothing happens by itself: a message leaves when its socket sends or receives, or while
/// a Poller waits for it. One thread, that of the sockets.

#include <deque>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "wire/socket.hpp"
#include "wire/throttle.hpp"

namespace dtrain::wire {

/// Both directions, shared by the sockets, which it outlives.
class SlowLink {
 public:
  /// Throws Error(Kind::environment) where there is no timer to be had.
  SlowLink(double bits_per_second, Seconds latency);
  ~SlowLink();
  SlowLink(const SlowLink&) = delete;
  SlowLink& operator=(const SlowLink&) = delete;

  /// From now on what is sent takes so much longer than the link would; in order all the same.
  void delay(Seconds longer) { longer_ = longer; }

  Clock::time_point leaves_at(std::size_t bytes, Clock::time_point now);
  /// `since`: when its socket was last seen empty. The message has come at some time after, while nobody looked.
  Clock::time_point seen_at(std::size_t bytes, Clock::time_point since, Clock::time_point now);

  /// A descriptor that becomes readable at `due`: polls wait by the millisecond only.
  int wake_at(Clock::time_point due);

 private:
  Throttle out_, in_;
  Seconds longer_{0};
  int timer_;
};

/// A message on its way out. `peer` for ROUTER.
struct Parcel {
  std::optional<std::string> peer;
  zmq::message_t header, payload;
};

/// Hands a message to ZeroMQ. False if the peer is gone or never came.
bool send_now(zmq::socket_ref socket, Parcel& parcel);

/// What of one socket's waits, in order, each way.
class Slowed {
 public:
  Slowed(SlowLink& link, zmq::socket_ref socket);
  /// What still waits leaves at once: a role that goes gives nobody time.
  ~Slowed();
  Slowed(const Slowed&) = delete;
  Slowed& operator=(const Slowed&) = delete;

  void put(Parcel parcel, std::size_t bytes);
  void let_leave(Clock::time_point now);

  void hold(Message message);
  /// ZeroMQ has nothing more.
  void note_empty() { empty_at_ = Clock::now(); }
  /// The oldest message that may be seen, if there is one.
  std::optional<Message> take();
  bool has_arrived() const { return !incoming_.empty() && incoming_.front().due <= Clock::now(); }

  /// When something is next to leave or to be seen.
  std::optional<Clock::time_point> due() const;
  SlowLink& link() { return link_; }

 private:
  template <class T>
  struct Waiting {
    Clock::time_point due;
    T what;
  };
  SlowLink& link_;
  zmq::socket_ref socket_;
  Clock::time_point empty_at_;
  std::deque<Waiting<Parcel>> outgoing_;
  std::deque<Waiting<Message>> incoming_;
};

}  // namespace dtrain::wire
