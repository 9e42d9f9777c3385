#include "wire/numbers.hpp"

namespace dtrain::wire {

Numbers::Line& Numbers::line_of(const std::string& peer, std::uint64_t incarnation) {
  Line& line = lines_[peer];
  if (line.incarnation == incarnation) return line;
  if (line.incarnation != 0) line = {};
  line.incarnation = incarnation;
  return line;
}

Numbers::Arrival Numbers::arrived(const std::string& peer, std::uint64_t incarnation, std::uint64_t number) {
  Line& line = line_of(peer, incarnation);
  if (number <= line.received) return {.duplicate = true};
  const std::uint64_t missing = number - line.received - 1;
  line.received = number;
  return {.missing = missing};
}

std::uint64_t Numbers::arrived_all(const std::string& peer, std::uint64_t incarnation, std::uint64_t number) {
  Line& line = line_of(peer, incarnation);
  if (number <= line.received) return 0;
  const std::uint64_t missing = number - line.received;
  line.received = number;
  return missing;
}

std::vector<Numbers::Tail> Numbers::silent(Clock::time_point now) {
  std::vector<Tail> tails;
  for (auto& [peer, line] : lines_) {
    if (line.sent == line.told) continue;
    if (line.sent != line.seen) {
      line.seen = line.sent, line.since = now;
    } else if (now - line.since >= silence) {
      line.told = line.sent;
      tails.push_back({peer, line.sent});
    }
  }
  return tails;
}

}  // namespace dtrain::wire
