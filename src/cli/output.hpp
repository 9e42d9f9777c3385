#pragma once
/// Results for stdout, and the last words for stderr.

#include <exception>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "cli/options.hpp"

namespace dtrain::cli {

/// Writes to stdout and flushes; throws Error(Kind::environment) if that fails (a full disk, a closed descriptor).
void print(std::string_view text);
/// The document, indented, and a newline.
void print_json(const Json& json);
/// A result that is one text: as it is, or with --json as {key: text}.
void print_text(const Options& options, const char* key, const std::string& text);

/// Rendered warnings to stderr, with -q too; "" prints nothing.
void warn(std::string_view rendered);

/// Tells on stderr why the process ends (with --json also on stdout) and returns the exit code.
int tell_failure(const Options& options, const std::exception& failure);

}  // namespace dtrain::cli
