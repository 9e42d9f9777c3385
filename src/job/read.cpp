#include "job/read.hpp"

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "job/bind.hpp"
#include "job/distribution.hpp"
#include "job/findings.hpp"
#include "job/hosts.hpp"
#include "job/tree.hpp"

namespace dtrain::job {
namespace {

/// The file's name without its ending, as far as it may name a run.
std::string name_from(const std::string& file) {
  std::string stem = fs::path(file).stem().string();
  for (char& c : stem)
    if (static_cast<unsigned char>(c) < 0x20) c = '-';
  return stem.empty() || find_bad_byte(stem) != std::string::npos ? "job" : stem;
}

std::string absolute_from(const fs::path& folder, const std::string& path) {
  fs::path whole = (folder / path).lexically_normal();
  if (!whole.has_filename() && whole.has_relative_path()) whole = whole.parent_path();  // no slash at the end
  return whole.string();
}

void resolve_paths(Job& job, const std::string& file) {
  const fs::path folder = fs::absolute(file).parent_path();
  job.data.dir = absolute_from(folder, job.data.dir);
  job.output.dir = absolute_from(folder, job.output.dir);
  std::string& compute = job.faults.inject.compute;
  if (const std::string trace = trace_file(compute); !trace.empty()) compute = "trace:" + absolute_from(folder, trace);
}

}  // namespace

bool ReadResult::ok() const {
  return std::none_of(diagnostics.begin(), diagnostics.end(),
                      [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::error; });
}

ReadResult read_job(std::string text, const std::string& file, const std::vector<Override>& overrides,
                    const std::string& machine) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.substr(0, byte_order_mark.size()) == byte_order_mark) text.erase(0, byte_order_mark.size());
  ReadResult result;
  result.text = std::move(text);
  Findings findings(result.text, file, overrides);
  if (auto root = parse_tree(result.text, 0, findings)) {
    int k = 0;
    for (const Override& override_text : overrides) apply_override(override_text, ++k, *root, findings);
    Given given;
    bind(*root, result.job, given, findings);
    settle_hosts(result.job.topology, given, machine);
    resolve_paths(result.job, file);
    check(result.job, given, findings);
    if (result.job.name.empty()) result.job.name = name_from(file);
  }
  result.diagnostics = findings.take();
  return result;
}

Job load_job(const std::string& file, const std::vector<Override>& overrides, std::string* warnings,
             const std::string& machine) {
  ReadResult result = read_job(read_file(file, Kind::job), file, overrides, machine);
  if (!result.ok()) throw Error(Kind::job, render(result));
  if (warnings) *warnings = render(result);
  return std::move(result.job);
}

}  // namespace dtrain::job
