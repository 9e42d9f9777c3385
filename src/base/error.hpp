#pragma once
/// What went wrong, where, and with which exit code.
///
/// There is one Error. Every room throws it, nobody but main() swallows it, and main() prints the whole chain.
/// Expected outcomes (a frame that does not decode, a peer that left) are values, never an Error.

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace dtrain {

/// Why a run ended. The numbers are the process's exit codes and are part of the user's interface.
enum class Kind : int {
  done = 0,
  internal = 1,     ///< a fault of our own
  usage = 2,        ///< the command line
  job = 3,          ///< the job file
  data = 4,         ///< the data
  environment = 5,  ///< disk, port, memory, permissions
  formation = 6,    ///< the cluster did not form
  lost = 7,         ///< a role was lost beyond what the job allows
  diverged = 8,     ///< the numbers are no longer finite
  assertion = 9,    ///< an `assert:` of the job or a comparison failed
  checkpoint = 10,  ///< a checkpoint cannot be used
  out_of_time = 75  ///< stopped by --max-time; resumable
};

/// A short noun for a kind, as in "data error".
std::string_view name(Kind kind);

/// A place in a file. line and column count from 1; 0 means unknown.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
};

/// "file:line:column", leaving out what is unknown.
std::string describe(const Place& place);

class Error : public std::exception {
 public:
  Error(Kind kind, std::string message);
  Error(Kind kind, Place place, std::string message);

  Kind kind() const { return kind_; }
  /// What the process exits with: the kind's number, unless with_code() said otherwise.
  int exit_code() const { return code_; }
  const Place& place() const { return place_; }
  const std::string& message() const { return message_; }

  /// Adds what was being attempted, outermost last: `throw std::move(error.during("loading a.csv"))`.
  Error& during(std::string what);
  /// For an end by signal n, 128 + n.
  Error& with_code(int code);

  /// One line: contexts outermost first, then the place, then the message.
  const char* what() const noexcept override { return line_.c_str(); }

 private:
  void compose();
  Kind kind_;
  int code_;
  Place place_;
  std::string message_;
  std::vector<std::string> contexts_;
  std::string line_;
};

template <class... Args>
[[noreturn]] void fail(Kind kind, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(kind, fmt::format(text, std::forward<Args>(args)...));
}

/// "text: strerror(code)"
std::string with_errno(std::string_view text, int code);

}  // namespace dtrain
