#include "base/file.hpp"
#include "cli/foresee.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "job/hosts.hpp"
#include "job/read.hpp"
#include "launch/children.hpp"

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

void tell_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) Log(Level::normal, "dtrain: ").warn("{}", warning);
}

/// Diagnostics of the job and, where it is right, what speaks against its data or its plan; stderr has them as text.
int check_as_json(Options options, const job::ReadResult& read) {
  Json list = Json::array();
  for (const job::Diagnostic& diagnostic : read.diagnostics) list.push_back(to_json(diagnostic));
  warn(job::render(read));
  int code = static_cast<int>(read.ok() ? Kind::done : Kind::job);
  if (read.ok()) {
    try {
      const std::vector<std::string> warnings = foresee(read.job).warnings;
      for (const std::string& warning : warnings) list.push_back(to_json("warning", {}, 1, warning));
      tell_warnings(warnings);
    } catch (const Error& error) {
      // The caller asked for a list: this failure is one of its entries, and no document of its own.
      options.json = false;
      code = tell_failure(options, error);
      list.push_back(to_json("error", error.place(), 1, error.what()));
    }
  }
  print_json(list);
  return code;
}

}  // namespace

int check(const Options& options) {
  const job::ReadResult read =
      job::read_job(read_file(options.job, Kind::job), options.job, options.set, launch::host_name());
  if (options.json) return check_as_json(options, read);
  if (!read.ok()) throw Error(Kind::job, job::render(read));
  warn(job::render(read));
  tell_warnings(foresee(read.job).warnings);
  const std::string hosts = job::describe_hosts(read.job.topology);
  print(options.job + ": ok" + (hosts.empty() ? "" : ": " + hosts) + "\n");
  return 0;
}

}  // namespace dtrain::cli
