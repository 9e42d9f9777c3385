#include "role/connections.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::role {
namespace {

constexpr Seconds moment{3};

}  // namespace

void Connections::watch(wire::Socket& socket, const std::string& to) {
  lines_.emplace_back(context_, socket, to, patience_);
}

void Connections::forget(const std::string& to) {
  std::erase_if(lines_, [&to](const Line& line) { return line.to == to; });
  if (broken_ == to) broken_.clear();
}

void Connections::look(Line& line) {
  using What = wire::Monitor::Event::What;
  while (const auto event = line.monitor.next()) {
    if (event->what == What::ready) line.made = true;
    if (event->what != What::disconnected || !line.made || !broken_.empty()) continue;
    broken_ = line.to;
    told_why_ = Deadline(moment);
  }
}

void Connections::check() {
  for (Line& line : lines_) {
    look(line);
    if (!line.made && line.due.passed())
      fail(Kind::formation, "no connection to {} could be made within {} (faults.join_within)", line.to,
           human_seconds(patience_.count()));
  }
  if (!broken_.empty() && told_why_.passed()) fail(Kind::lost, "the connection to {} broke", broken_);
}

}  // namespace dtrain::role
