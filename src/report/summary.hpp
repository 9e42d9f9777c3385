#pragma once
/// summary.json and what is made of it: the closing lines of a run, comparison, assertions.
///
/// Fields are looked up by dotted name; one that is absent or of another type is left out of what is rendered, so that
/// the summary of a run that failed early can be shown too.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "job/job.hpp"

namespace dtrain::report {

/// The text that `run` ends with on stdout (without --json): results, speed, where the time went, where the files are.
std::string render_summary(const Json& summary);

/// Reads RUN/summary.json; throws Error(Kind::usage) if RUN is no run or has not ended.
Json read_summary(const std::filesystem::path& run);

/// The value of a metric by its dotted name ("test.accuracy"), whether nested or flat; nullopt if absent or no number.
std::optional<double> metric(const Json& summary, const std::string& name);

/// The same for a text; "" if absent or no text.
std::string text_field(const Json& summary, const std::string& name);

/// One line per assertion that does not hold ("assertion failed: test.accuracy >= 0.97, got 0.9512"); a metric that is
/// absent or not finite fails.
std::vector<std::string> failed_assertions(const std::vector<job::Assertion>& assertions, const Json& summary);

/// Two runs side by side: as text, and as JSON {"a": name, "b": name, "rows": [{"name", "a", "b", "ratio"}],
/// "settings": [{"name", "a", "b"}] that differ, "same_weights": bool}. ratio: b / a, null where that is no number.
std::string render_comparison(const Json& comparison);
Json compare(const Json& a, const Json& b);

}  // namespace dtrain::report
