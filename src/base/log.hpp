#pragma once
/// Lines for people on stderr. A Log is a value that is handed down: no singleton, no global level.

#include <string>
#include <utility>

#include <fmt/format.h>

namespace dtrain {

enum class Level { quiet, normal, verbose };

/// Writes whole lines, each with one write(2), so that lines of several processes do not mix.
class Log {
 public:
  Log(Level level, std::string prefix) : level_(level), prefix_(std::move(prefix)) {}

  /// Shown unless -q.
  template <class... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) const {
    if (level_ >= Level::normal) line(fmt::format(text, std::forward<Args>(args)...));
  }
  /// Shown with -v.
  template <class... Args>
  void detail(fmt::format_string<Args...> text, Args&&... args) const {
    if (level_ >= Level::verbose) line(fmt::format(text, std::forward<Args>(args)...));
  }
  /// Always shown.
  template <class... Args>
  void warn(fmt::format_string<Args...> text, Args&&... args) const {
    line("warning: " + fmt::format(text, std::forward<Args>(args)...));
  }
  /// Always shown.
  template <class... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) const {
    line("error: " + fmt::format(text, std::forward<Args>(args)...));
  }

  Level level() const { return level_; }

 private:
  void line(const std::string& text) const;
  Level level_;
  std::string prefix_;  ///< "dtrain: ", or "worker 1: "
};

}  // namespace dtrain
