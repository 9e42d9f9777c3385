#pragma once
/// The data connections that a role makes to others: whether they come about, and hold.
///
/// What was on its way when a connection broke is gone, even if it is made again: nobody may wait for that for ever,
/// nor for a connection that is never made. One thread, that of the sockets.

#include <list>
#include <string>

#include "base/time.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

class Connections {
 public:
  /// `patience`: how long a connection may take to be made.
  Connections(wire::Context& context, Seconds patience) : context_(context), patience_(patience) {}

  /// Before the socket connects; it must outlive this. `to`: whom messages name, "server 0".
  void watch(wire::Socket& socket, const std::string& to);
  /// Nothing more is expected from there.
  void forget(const std::string& to);

  /// Throws Error(Kind::formation) if one was not made in time, Error(Kind::lost) some seconds after one broke: the
  /// coordinator knows better why (the server died, perhaps), and gets a moment to say so.
  void check();

 private:
  struct Line {
    std::string to;
    wire::Monitor monitor;
    Deadline due;
    bool made = false;
    Line(wire::Context& context, wire::Socket& socket, const std::string& name, Seconds patience)
        : to(name), monitor(context, socket), due(patience) {}
  };
  void look(Line& line);
  wire::Context& context_;
  Seconds patience_;
  std::list<Line> lines_;
  std::string broken_;  ///< who is at the other end of the first that broke
  Deadline told_why_{Seconds(0)};
};

}  // namespace dtrain::role
