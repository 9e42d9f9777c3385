#include "cli/options.hpp"

#include <unistd.h>

#include <cstdlib>

namespace dtrain::cli {

Level level(const Options& options) {
  if (options.quiet) return Level::quiet;
  return options.verbose ? Level::verbose : Level::normal;
}

bool use_color(const Options& options, int descriptor) {
  if (options.color != "auto") return options.color == "always";
  const char* refused = std::getenv("NO_COLOR");
  return isatty(descriptor) == 1 && (refused == nullptr || *refused == '\0');
}

}  // namespace dtrain::cli
