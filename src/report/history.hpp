#pragma once
/// metrics.jsonl read back: what happened, in the order of the steps.
///
/// Lines that are no event (a crash cut them short) are counted and left out. A resumed run repeats steps: the later
/// telling of a step replaces the earlier one, and everything after it that was lost with the crash.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.hpp"

namespace dtrain::report {

struct Point {
  double x = 0, y = 0;
};
using Curve = std::vector<Point>;

struct Happening {
  std::string time;
  double step = -1;  ///< below 0: unknown
  std::string what;
  bool bad = false;
};

struct History {
  Curve loss, speed, learning_rate;   ///< by step
  std::map<std::string, Curve> test;  ///< by step, for each metric
  std::vector<Happening> happenings;  ///< faults, checkpoints, resumes, the end
  std::size_t damaged_lines = 0;
};

/// An absent file is an empty history.
History read_history(const std::filesystem::path& file);
/// The same from the text of a file.
History parse_history(const std::string& text);

}  // namespace dtrain::report
