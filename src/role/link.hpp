#pragma once
/// A role's side of the control connection: joining, beats, and noticing that the coordinator is gone.
///
/// One thread, the role's own.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "role/chaos.hpp"
#include "role/messages.hpp"
#include "wire/security.hpp"
#include "wire/slow_link.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

/// How a role was asked to join.
struct JoinRequest {
  wire::Role role = wire::Role::worker;
  std::string endpoint;    ///< of the coordinator
  std::string token_file;  ///< as wire::read_token() takes it, for CURVE; "" without
  bool insecure = false;   ///< plain TCP off loopback is accepted
  std::string data_dir;    ///< where this machine has the data; "": where the job says
  Seconds patience{60};    ///< until the coordinator must have answered
};

/// What admits a role to the run that it is to join, if that takes a token. Throws Error.
std::optional<wire::Token> token_for(const JoinRequest& request);

/// Thrown by Link::receive() in a role from outside: the run goes back to its last checkpoint, and wants it to join
/// anew. No Error, for nothing went wrong here: run_role() alone catches it.
struct Again {};

class Link {
 public:
  /// `anew`: this role knew the coordinator a moment ago; when nobody listens there any more, it is gone.
  Link(wire::Context& context, const JoinRequest& request, std::optional<wire::Token> token = {}, bool anew = false);

  /// Sends `join` and waits for `welcome`; after a connection that breaks before that, all over again. Throws
  /// Error(Kind::formation): nobody answers in time, or we are refused (and why); Error(Kind::lost): nobody listens
  /// there any more.
  Welcome join();

  void send(wire::Type type, std::string_view payload);

  /// Tells the coordinator that this role's own thread goes on, at most every 100 ms; takes collected records along.
  void beat(std::uint64_t step, Phase phase);
  void record(const StepRecord& record) { records_.push_back(record); }
  /// Sends what is collected, now.
  void flush(std::uint64_t step, Phase phase);

  /// The next message from the coordinator, if there is one. Throws Error(Kind::lost) when the coordinator is gone, and
  /// Again.
  std::optional<wire::Message> receive();

  /// Waits for a message as long as the coordinator lives (its heartbeats say so), beating meanwhile. Throws
  /// Error(Kind::lost) when it is gone.
  wire::Message await(std::uint64_t step, Phase phase);

  /// The coordinator knows us: before that, whatever else we send is a stranger's.
  bool is_welcome() const { return welcomed_; }
  void watch(wire::Poller& poller);
  const wire::Self& self() const { return self_; }
  const wire::KeyPair& keys() const { return keys_; }
  void set_epoch(std::uint32_t epoch) { self_.epoch = epoch; }
  /// By which others on data sockets know us: within our cell, where the network is split.
  void set_rank(int rank) { self_.rank = static_cast<std::uint32_t>(rank); }
  /// As the run knows us: "worker 3".
  const std::string& name() const { return name_; }
  void set_name(const std::string& name) { name_ = name; }
  const JoinRequest& request() const { return request_; }
  wire::Context& context() { return context_; }
  /// What this role and others of its machine both see.
  wire::SharedMemory& memory() { return memory_; }
  /// Makes data sockets slow, if that is asked for: call it first. Those of control, with their beats, stay as they
  /// are.
  void slow_data(const job::Inject& inject);
  void suit_data(wire::Socket& socket);
  /// Whether data messages may wait here until they leave: whoever polls must then watch sockets that only send, too.
  bool keeps_data() const { return slow_.has_value(); }

  bool suffers() const { return chaos_.has_value(); }
  /// A step of this role begins, counted from 0: what --chaos wants of it is done.
  void begin_step(std::uint64_t step) {
    if (chaos_) chaos_->begin_step(step);
  }
  /// For Chaos: tells the coordinator of a fault and, if it waits, until it has heard.
  void confess(const Confession& confession);
  /// For Chaos: keeps data messages for so long, and closes the connections that they go by.
  void delay_data(Seconds time) { slow_->delay(time); }
  void cut_data() { wire::cut_connections(control_descriptor_); }
  /// Tells the log (stderr) of a message that was refused, the first few times.
  void tell_refusal(const std::string& why);

 private:
  void check_monitor();
  void check_launcher();
  wire::Context& context_;
  wire::SharedMemory memory_;
  JoinRequest request_;
  wire::Self self_;
  wire::KeyPair keys_;
  std::optional<wire::Token> token_;
  wire::Socket socket_;
  wire::Monitor monitor_;
  std::optional<wire::SlowLink> slow_;
  std::optional<Chaos> chaos_;
  wire::Tails tails_;                ///< of data sockets
  std::deque<wire::Message> early_;  ///< came while something else was waited for
  int control_descriptor_ = -1;
  std::string name_;
  bool was_connected_ = false;
  bool asked_ = false, welcomed_ = false;  ///< to join
  bool heard_;                             ///< somebody listens there, or did
  std::optional<Deadline> unheard_;        ///< where nobody does any more
  int failed_handshakes_ = 0;
  int told_refusals_ = 0;
  Clock::time_point last_beat_;
  std::vector<StepRecord> records_;
};

}  // namespace dtrain::role
