#include "base/error.hpp"

#include <system_error>

namespace dtrain {

std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::done: return "done";
    case Kind::internal: return "internal error";
    case Kind::usage: return "usage error";
    case Kind::job: return "job error";
    case Kind::data: return "data error";
    case Kind::environment: return "environment error";
    case Kind::formation: return "the cluster did not form";
    case Kind::lost: return "a role was lost";
    case Kind::diverged: return "the numbers diverged";
    case Kind::assertion: return "an assertion failed";
    case Kind::checkpoint: return "checkpoint error";
    case Kind::out_of_time: return "out of time";
  }
  return "error";
}

std::string describe(const Place& place) {
  if (place.line == 0) return place.file;
  if (place.column == 0) return fmt::format("{}:{}", place.file, place.line);
  return fmt::format("{}:{}:{}", place.file, place.line, place.column);
}

Error::Error(Kind kind, std::string message) : Error(kind, Place{}, std::move(message)) {}

Error::Error(Kind kind, Place place, std::string message)
    : kind_(kind), code_(static_cast<int>(kind)), place_(std::move(place)), message_(std::move(message)) {
  compose();
}

Error& Error::during(std::string what) {
  contexts_.push_back(std::move(what));
  compose();
  return *this;
}

Error& Error::with_code(int code) {
  code_ = code;
  return *this;
}

void Error::compose() {
  line_.clear();
  for (auto it = contexts_.rbegin(); it != contexts_.rend(); ++it) line_ += *it + ": ";
  if (const std::string where = describe(place_); !where.empty()) line_ += where + ": ";
  line_ += message_;
}

std::string with_errno(std::string_view text, int code) {
  return fmt::format("{}: {}", text, std::generic_category().message(code));
}

}  // namespace dtrain
