#pragma once
/// --help, as text for a terminal.

#include <string>

namespace dtrain::cli {

/// Help for one verb; for "": the list of verbs.
std::string help(const std::string& verb);

/// "dtrain 0.1.0".
std::string version_line();

}  // namespace dtrain::cli
