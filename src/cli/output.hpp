#pragma once
/// Results for stdout, and the last words for stderr.

#include <exception>
#include <string_view>

#include "base/json.hpp"
#include "cli/options.hpp"

namespace dtrain::cli {

/// Writes to stdout and flushes; throws Error(Kind::environment) if that fails (a full disk, a closed descriptor).
void print(std::string_view text);
/// The document, indented, and a newline.
void print_json(const Json& json);

/// Rendered warnings to stderr, unless -q; "" prints nothing.
void warn(const Options& options, std::string_view rendered);

/// Tells on stderr why the process ends (with --json also on stdout) and returns the exit code.
int tell_failure(const Options& options, const std::exception& failure);

}  // namespace dtrain::cli
