#pragma once
/// From YAML text to a Job, with every mistake told at once; and back to text with nothing left to default.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "job/job.hpp"

namespace dtrain::job {

/// One mistake or remark; the message ends with the remedy where there is one to name.
struct Diagnostic {
  enum class Severity { error, warning };
  Severity severity = Severity::error;
  Place place;
  int length = 1;  ///< columns to underline, from place.column
  std::string message;
};

struct ReadResult {
  Job job;                              ///< meaningful only when ok()
  std::vector<Diagnostic> diagnostics;  ///< ordered by place
  std::string text;                     ///< the source, for printing carets
  bool ok() const;
};

/// A `--set path=value`, applied after the text; its place in messages is "--set path=value".
using Override = std::string;

/// Reads `text`; `file` names it in messages and relative paths start at its folder. Never throws for a wrong job:
/// unknown keys (with the nearest known one), keys given twice, wrong types, values out of range, several documents,
/// aliases that build cycles, and keys that contradict each other are all diagnostics, as many as there are. `machine`:
/// a name that means localhost in topology.hosts; "" for none.
ReadResult read_job(std::string text, const std::string& file, const std::vector<Override>& overrides = {},
                    const std::string& machine = {});

/// The diagnostics as they are printed:
///   configs/a.yaml:14:14: error: sync.staleness must be at least 0, got -3
///      14 |   staleness: -3
///         |              ^~
std::string render(const ReadResult& result);

/// Reads a file; throws Error(Kind::job) whose message is render() (several lines) if there is any error.
/// Kind::job too if the file is missing. Warnings are returned through `warnings` as rendered text.
Job load_job(const std::string& file, const std::vector<Override>& overrides, std::string* warnings = nullptr,
             const std::string& machine = {});

/// The whole job as YAML: read_job(write_job(job)) gives the same job, on every machine (paths are absolute).
std::string write_job(const Job& job);

}  // namespace dtrain::job
