#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "report/summary.hpp"
#include "report/table.hpp"

namespace dtrain::report {
namespace {

constexpr const char* counts[] = {"samples_per_second",     "seconds",       "steps", "epochs", "bytes.payload_sent",
                                  "bytes.payload_received", "staleness.mean"};
constexpr const char* settings[] = {"policy", "workers", "servers", "threads", "blas", "seed"};

Json number_or_null(std::optional<double> value) { return value && std::isfinite(*value) ? Json(*value) : Json(); }

Json make_row(const std::string& name, std::optional<double> a, std::optional<double> b) {
  std::optional<double> ratio;
  if (a && b && *a != 0) ratio = *b / *a;
  return {{"name", name}, {"a", number_or_null(a)}, {"b", number_or_null(b)}, {"ratio", number_or_null(ratio)}};
}

/// "test.accuracy", .. of either run, in the order of the first.
std::vector<std::string> judged(const Json& a, const Json& b) {
  std::vector<std::string> names;
  for (const Json* run : {&a, &b})
    for (const char* part : {"test", "train"}) {
      if (!run->contains(part) || !(*run)[part].is_object()) continue;
      for (const auto& item : (*run)[part].items()) {
        const std::string name = std::string(part) + "." + item.key();
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      }
    }
  return names;
}

/// Seconds that all roles of one sort spent; nullopt without such a role.
std::optional<double> total_of(const Json& summary, const std::string& role, const std::string& field) {
  std::optional<double> total;
  if (!summary.contains("roles") || !summary["roles"].is_array()) return total;
  for (const Json& entry : summary["roles"])
    if (text_field(entry, "role") == role) total = total.value_or(0) + metric(entry, field).value_or(0);
  return total;
}

void add_row(Json& rows, const std::string& name, std::optional<double> a, std::optional<double> b) {
  if (a || b) rows.push_back(make_row(name, a, b));
}

std::string label_of(const Json& summary) {
  const std::string run = text_field(summary, "run");
  return run.empty() ? text_field(summary, "name") : run;
}

Json differing_settings(const Json& a, const Json& b) {
  Json differing = Json::array();
  for (const char* name : settings) {
    const Json of_a = a.value(name, Json()), of_b = b.value(name, Json());
    if (of_a != of_b) differing.push_back({{"name", name}, {"a", of_a}, {"b", of_b}});
  }
  return differing;
}

std::string cell(const std::string& name, const Json& value) {
  if (!value.is_number()) return "-";
  const double number = value.get<double>();
  if (name.starts_with("bytes.")) return human_bytes(number);
  if (name.ends_with("seconds")) return human_seconds(number);
  if (name == "samples_per_second" || name == "steps") return count_text(number);
  return fmt::format("{:.4g}", number);
}

std::string setting_text(const Json& value) {
  if (value.is_null()) return "-";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

Json compare(const Json& a, const Json& b) {
  Json rows = Json::array();
  for (const std::string& name : judged(a, b)) add_row(rows, name, metric(a, name), metric(b, name));
  for (const char* name : counts) add_row(rows, name, metric(a, name), metric(b, name));
  for (const char* role : {"worker", "server"})
    for (const char* field : {"compute_seconds", "wait_seconds", "communicate_seconds"})
      add_row(rows, fmt::format("{}.{}", role, field), total_of(a, role, field), total_of(b, role, field));
  const std::string hash = text_field(a, "weights.sha256");
  return {{"a", label_of(a)},
          {"b", label_of(b)},
          {"rows", rows},
          {"settings", differing_settings(a, b)},
          {"same_weights", !hash.empty() && hash == text_field(b, "weights.sha256")}};
}

std::string render_comparison(const Json& comparison) {
  std::string out = "a: " + text_field(comparison, "a") + "\nb: " + text_field(comparison, "b") + "\n\n";
  std::vector<Row> rows{{"", "a", "b", "b / a"}};
  for (const Json& row : comparison.at("rows")) {
    const std::string name = text_field(row, "name");
    const auto ratio = metric(row, "ratio");
    rows.push_back(
        {name, cell(name, row.at("a")), cell(name, row.at("b")), ratio ? fmt::format("{:.3f}", *ratio) : "-"});
  }
  for (const Json& row : comparison.at("settings"))
    rows.push_back({text_field(row, "name"), setting_text(row.at("a")), setting_text(row.at("b")), ""});
  out += align(rows, 1, 2);
  const bool same = comparison.at("same_weights").get<bool>();
  return out + (same ? "\nthe weights are the same, bit for bit\n" : "\nthe weights differ\n");
}

}  // namespace dtrain::report
