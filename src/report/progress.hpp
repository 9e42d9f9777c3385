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

/// How a line may look.
struct Look {
  int columns = 80;     ///< the line stays below this
  bool color = false;   ///< escape codes may be used
  bool unicode = true;  ///< the terminal shows UTF-8
};

/// The live line, without its end; what matters least is left out where the terminal is narrow. `eta`: seconds, below 0
/// while unknown.
std::string live_line(const std::string& name, const Status& status, double eta, const Look& look);
/// The line of an interval, without its end.
std::string plain_line(const std::string& name, const Status& status, double eta);

/// One thread. Writes to `fd` (stderr unless told), a line in one write(2); what cannot be written is lost silently.
class Progress {
 public:
  enum class Mode { none, plain, live };
  /// `mode` from -q, --json and isatty(stderr). `color`: whether escape codes may be used. `name`: the job's.
  Progress(Mode mode, bool color, std::string name = "", int fd = 2);
  ~Progress();  ///< ends a live line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Draws at most every 100 ms (live) or 5 s (plain), unless `force`.
  void update(const Status& status, bool force = false, Clock::time_point now = Clock::now());
  /// Prints a whole line above the live one; nothing in Mode::none.
  void line(const std::string& text);

 private:
  double eta(const Status& status, Clock::time_point now);
  std::string over(const std::string& text) const;
  void redraw(const std::string& text);
  Mode mode_;
  bool color_, unicode_;
  std::string name_;
  int fd_;
  std::string shown_;  ///< the live line on the terminal, "" if there is none
  bool drawn_ = false;
  Index first_step_ = -1;
  Clock::time_point last_, started_;
};

}  // namespace dtrain::report
