#pragma once
/// A role's side of the control connection: joining, beats, and noticing that the coordinator is gone.
///
/// One thread, the role's own.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "role/messages.hpp"
#include "wire/security.hpp"
#include "wire/slow_link.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

/// How a role was asked to join.
struct JoinRequest {
  wire::Role role = wire::Role::worker;
  std::string endpoint;    ///< of the coordinator
  std::string token_file;  ///< CURVE; "" without
  bool insecure = false;   ///< plain TCP off loopback is accepted
  std::string data_dir;    ///< where this machine has the data; "": where the job says
  Seconds patience{60};    ///< until the coordinator must have answered
};

class Link {
 public:
  Link(wire::Context& context, const JoinRequest& request);

  /// Sends `join` and waits for `welcome`. Throws Error(Kind::formation): nobody answers, or we are refused (and why).
  Welcome join();

  void send(wire::Type type, std::string_view payload);

  /// Tells the coordinator that this role's own thread goes on, at most every 100 ms; takes collected records along.
  void beat(std::uint64_t step, Phase phase);
  void record(const StepRecord& record) { records_.push_back(record); }
  /// Sends what is collected, now.
  void flush(std::uint64_t step, Phase phase);

  /// The next message from the coordinator, if there is one. Throws Error(Kind::lost) when the coordinator is gone.
  std::optional<wire::Message> receive();

  /// Waits for a message as long as the coordinator lives (its heartbeats say so), beating meanwhile. Throws
  /// Error(Kind::lost) when it is gone.
  wire::Message await(std::uint64_t step, Phase phase);

  void watch(wire::Poller& poller);
  const wire::Self& self() const { return self_; }
  const wire::KeyPair& keys() const { return keys_; }
  void set_epoch(std::uint32_t epoch) { self_.epoch = epoch; }
  /// By which others on data sockets know us: within our cell, where the network is split.
  void set_rank(int rank) { self_.rank = static_cast<std::uint32_t>(rank); }
  /// As the run knows us: "worker 3".
  const std::string& name() const { return name_; }
  const JoinRequest& request() const { return request_; }
  wire::Context& context() { return context_; }
  /// What this role and others of its machine both see.
  wire::SharedMemory& memory() { return memory_; }
  /// Makes data sockets slow, if that is asked for: call it first. Those of control, with their beats, stay as they
  /// are.
  void slow_data(const job::Inject& inject);
  void suit_data(wire::Socket& socket);
  /// Tells the log (stderr) of a message that was refused, the first few times.
  void tell_refusal(const std::string& why);

 private:
  void check_monitor();
  wire::Context& context_;
  wire::SharedMemory memory_;
  JoinRequest request_;
  wire::Self self_;
  wire::KeyPair keys_;
  std::optional<wire::Token> token_;
  wire::Socket socket_;
  wire::Monitor monitor_;
  std::optional<wire::SlowLink> slow_;
  std::string name_;
  bool was_connected_ = false;
  int told_refusals_ = 0;
  Clock::time_point last_beat_;
  std::vector<StepRecord> records_;
};

}  // namespace dtrain::role
