#include "base/file.hpp"
#include "cli/foresee.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "job/read.hpp"

namespace dtrain::cli {
namespace {

Json to_json(const char* severity, const Place& place, int length, const std::string& message) {
  return {{"severity", severity},   {"file", place.file}, {"line", place.line},
          {"column", place.column}, {"length", length},   {"message", message}};
}

Json to_json(const job::Diagnostic& diagnostic) {
  const bool error = diagnostic.severity == job::Diagnostic::Severity::error;
  return to_json(error ? "error" : "warning", diagnostic.place, diagnostic.length, diagnostic.message);
}

/// Diagnostics of the job and, where it is right, what speaks against its data or its plan.
int check_as_json(const job::ReadResult& read) {
  Json list = Json::array();
  for (const job::Diagnostic& diagnostic : read.diagnostics) list.push_back(to_json(diagnostic));
  Kind kind = read.ok() ? Kind::done : Kind::job;
  if (read.ok()) {
    try {
      for (const std::string& warning : foresee(read.job).warnings) list.push_back(to_json("warning", {}, 1, warning));
    } catch (const Error& error) {
      // The caller asked for a list: this failure is one of its entries.
      kind = error.kind();
      list.push_back(to_json("error", error.place(), 1, error.what()));
    }
  }
  print_json(list);
  return static_cast<int>(kind);
}

}  // namespace

int check(const Options& options) {
  const job::ReadResult read = job::read_job(read_file(options.job, Kind::job), options.job, options.set);
  if (options.json) return check_as_json(read);
  if (!read.ok()) throw Error(Kind::job, job::render(read));
  warn(options, job::render(read));
  for (const std::string& warning : foresee(read.job).warnings) Log(Level::normal, "dtrain: ").warn("{}", warning);
  print(options.job + ": ok\n");
  return 0;
}

}  // namespace dtrain::cli
