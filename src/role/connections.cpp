#include "role/connections.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::role {
namespace {

constexpr Seconds moment{3};

}  // namespace

void Connections::watch(wire::Socket& socket, int server) { lines_.emplace_back(context_, socket, server, patience_); }

void Connections::look(Line& line) {
  using What = wire::Monitor::Event::What;
  while (const auto event = line.monitor.next()) {
    if (event->what == What::ready) line.made = true;
    if (event->what != What::disconnected || !line.made || broken_) continue;
    broken_ = line.server;
    told_why_ = Deadline(moment);
  }
}

void Connections::check() {
  for (Line& line : lines_) {
    look(line);
    if (!line.made && line.due.passed())
      fail(Kind::formation, "no connection to server {} could be made within {} (faults.join_within)", line.server,
           human_seconds(patience_.count()));
  }
  if (broken_ && told_why_.passed()) fail(Kind::lost, "the connection to server {} broke", *broken_);
}

}  // namespace dtrain::role
