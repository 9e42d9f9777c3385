#pragma once
/// From the words of a command line to Options. The only door to CLI11.

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace dtrain::cli {

/// `words` without the program's name. Throws Error(Kind::usage), which names the nearest verb or flag and how to get
/// help. With --help or --version nothing else need be right, but for a verb that does not exist.
Options parse(const std::vector<std::string>& words);

}  // namespace dtrain::cli
