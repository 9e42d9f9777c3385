#include "cli/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <new>
#include <string>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::cli {
namespace {

struct Failure {
  Kind kind;
  int code;
  std::string message;
};

Failure judge(const std::exception& failure) {
  if (const auto* error = dynamic_cast<const Error*>(&failure))
    return {error->kind(), error->exit_code(), error->what()};
  if (dynamic_cast<const std::bad_alloc*>(&failure) != nullptr)
    return {Kind::environment, static_cast<int>(Kind::environment),
            "out of memory: this machine cannot hold what the job needs (see dtrain plan)"};
  return {Kind::internal, static_cast<int>(Kind::internal),
          std::string(failure.what()) + " (this is a fault of dtrain itself)"};
}

/// A message may quote a file that is no text at all: bytes that steer a terminal are not passed on.
std::string printable(std::string text) {
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
  return text;
}

/// Diagnostics of a job are several lines that name file, line and column themselves.
bool is_rendered(const Failure& failure) {
  return failure.kind == Kind::job && failure.message.find('\n') != std::string::npos;
}

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail(Kind::environment, "{}", with_errno("cannot write to standard output", errno));
}

void print_json(const Json& json) { print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"); }

void print_text(const Options& options, const char* key, const std::string& text) {
  if (options.json)
    print_json(Json{{key, text}});
  else
    print(text);
}

void warn(std::string_view rendered) { std::fwrite(rendered.data(), 1, rendered.size(), stderr); }

int tell_failure(const Options& options, const std::exception& caught) {
  const Failure failure = judge(caught);
  const char* label = use_color(options, STDERR_FILENO) ? "\033[1;31merror:\033[0m" : "error:";
  const std::string said = printable(failure.message);
  const std::string text =
      is_rendered(failure) ? std::string(trim(said)) + "\n" : fmt::format("dtrain: {} {}\n", label, said);
  std::fputs(text.c_str(), stderr);
  if (options.json) {
    const Json told = {
        {"error", {{"kind", name(failure.kind)}, {"message", failure.message}, {"exit_code", failure.code}}}};
    // A stdout that cannot be written to has no better place for a complaint than stderr, which has it.
    std::fputs((told.dump(2, ' ', false, Json::error_handler_t::replace) + "\n").c_str(), stdout);
    std::fflush(stdout);
  }
  return failure.code;
}

}  // namespace dtrain::cli
