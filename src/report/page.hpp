#pragma once
/// report.html: one self-contained page about one run (no network, no script from elsewhere).

#include <filesystem>
#include <string>

namespace dtrain::report {

/// From metrics.jsonl, summary.json, plan.json and resolved.yaml: loss and test curves (inline SVG), where each role's
/// time went, bytes, staleness, faults, the job. Works on an unfinished run too. All text from the run is escaped.
std::string render_page(const std::filesystem::path& run);

}  // namespace dtrain::report
