#include "base/log.hpp"

#include <unistd.h>

namespace dtrain {

void Log::line(const std::string& text) const {
  const std::string whole = prefix_ + text + "\n";
  // A failure to write to stderr has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, whole.data(), whole.size());
}

}  // namespace dtrain
