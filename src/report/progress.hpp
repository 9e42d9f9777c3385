#pragma once
/// What a person sees while a run goes on: one live line on a terminal, a plain line an interval elsewhere.

#include <string>

#include "base/random.hpp"
#include "base/time.hpp"

namespace dtrain::report {

struct Status {
  Index step = 0, steps = 0;
  double epoch = 0;  ///< epochs done, with fraction
  std::int64_t epochs = 0;
  double loss = 0;  ///< mean over the last interval
  double samples_per_second = 0;
  std::string latest_test;  ///< "test accuracy 0.9780", "" before the first evaluation
};

class Progress {
 public:
  enum class Mode { none, plain, live };
  /// `mode` from -q, --json and isatty(stderr). `color`: whether escape codes may be used.
  Progress(Mode mode, bool color);
  ~Progress();  ///< ends a live line
  /// Draws at most every 100 ms (live) or 5 s (plain), unless `force`.
  void update(const Status& status, bool force = false);
  /// Prints a whole line above the live one.
  void line(const std::string& text);

 private:
  std::string compose(const Status& status) const;
  Mode mode_;
  bool color_;
  bool drawn_ = false;
  Clock::time_point last_, started_;
};

}  // namespace dtrain::report
