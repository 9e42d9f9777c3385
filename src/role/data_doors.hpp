#pragma once
/// Where an owner of weights listens for data: on Unix sockets for roles of its machine, on tcp for others.
///
/// One thread, that of the sockets.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "role/link.hpp"
#include "role/strangers.hpp"
#include "wire/crowd.hpp"

namespace dtrain::role {

class DataDoors {
 public:
  /// Listens where the coordinator says. Throws Error(Kind::environment) if an endpoint cannot be had.
  DataDoors(Link& link, const plan::Plan& plan, const Welcome& welcome);

  /// How others reach us.
  const std::vector<std::string>& endpoints() const { return endpoints_; }
  /// Public keys of those who may come by tcp.
  void allow(const std::vector<std::string>& keys);
  void watch(wire::Poller& poller);
  /// Lets in who is allowed in: after each poll.
  void serve();
  /// Connections that were not let in, or were too many.
  std::uint64_t strangers() const;

  wire::Socket& operator[](std::size_t door) { return sockets_[door]; }
  std::size_t size() const { return sockets_.size(); }
  auto begin() { return sockets_.begin(); }
  auto end() { return sockets_.end(); }

 private:
  std::unique_ptr<wire::Authenticator> authenticator_;
  std::deque<wire::Socket> sockets_;
  /// Who comes by tcp.
  struct Guard {
    wire::Monitor monitor;
    wire::Crowd crowd;
    Guard(wire::Context& context, wire::Socket& socket) : monitor(context, socket) {}
  };
  std::deque<Guard> guards_;
  std::vector<std::string> endpoints_;
  std::size_t allowed_ = 0;
  Strangers strangers_;
  std::uint64_t noted_ = 0;
};

}  // namespace dtrain::role
