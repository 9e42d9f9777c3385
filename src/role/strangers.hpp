#pragma once
/// Who came and was not let in: told of once in a while, and counted.

#include <cstdint>
#include <string>

#include "base/log.hpp"
#include "base/time.hpp"

namespace dtrain::role {

/// One thread.
class Strangers {
 public:
  explicit Strangers(Log log) : log_(std::move(log)) {}

  /// `times` more were refused. The first is told of at once, then a line an interval at most says how many it were.
  void note(const std::string& why, std::uint64_t times = 1);
  /// The total of a count that only grows, of which what is new is noted.
  void note_total(const std::string& why, std::uint64_t total, std::uint64_t& noted);
  /// The last line, if anybody came.
  void conclude();
  std::uint64_t count() const { return count_; }

 private:
  static constexpr Seconds interval{10};
  Log log_;
  std::uint64_t count_ = 0, untold_ = 0;
  Clock::time_point told_at_ = Clock::now() - std::chrono::hours(1);
};

}  // namespace dtrain::role
