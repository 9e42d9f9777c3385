#include "report/summary.hpp"

#include <algorithm>
#include <cmath>

#include "base/file.hpp"
#include "base/text.hpp"
#include "report/table.hpp"

namespace dtrain::report {
namespace {

/// The value under a dotted name, whether a key holds the dots itself or they lead through objects.
const Json* lookup(const Json& json, const std::string& name) {
  if (!json.is_object()) return nullptr;
  if (const auto at = json.find(name); at != json.end()) return &*at;
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const auto at = json.find(name.substr(0, dot));
    if (at == json.end()) continue;
    if (const Json* found = lookup(*at, name.substr(dot + 1))) return found;
  }
  return nullptr;
}

std::string plural(double count, const std::string& noun) {
  const char* ending = noun.ends_with("sh") ? "es" : "s";
  return count_text(count) + " " + noun + (count == 1 ? "" : ending);
}

/// "10 epochs, 4,690 steps, bsp, 4 workers, 2 servers, 2 stages x 1"
std::string extent(const Json& summary) {
  std::vector<std::string> parts;
  for (const char* noun : {"epoch", "step"})
    if (const auto value = metric(summary, std::string(noun) + "s")) parts.push_back(plural(*value, noun));
  if (const std::string policy = text_field(summary, "policy"); !policy.empty()) parts.push_back(policy);
  for (const char* noun : {"worker", "server"})
    if (const auto value = metric(summary, std::string(noun) + "s")) parts.push_back(plural(*value, noun));
  if (const auto stages = metric(summary, "grid.pipeline"), ranks = metric(summary, "grid.tensor"); stages && ranks)
    parts.push_back(plural(*stages, "stage") + " x " + count_text(*ranks));
  return join(parts, ", ");
}

std::string headline(const Json& summary) {
  std::string name = text_field(summary, "name"), status = text_field(summary, "status");
  if (name.empty()) name = "run";
  if (status.empty()) status = "ended";
  std::string line = name + ": " + status;
  if (const auto seconds = metric(summary, "seconds"))
    line += (status == "done" ? " in " : " after ") + human_seconds(*seconds);
  if (const std::string what = extent(summary); !what.empty()) line += " (" + what + ")";
  if (const std::string reason = text_field(summary, "reason"); !reason.empty() && status != "done")
    line += "\n  " + reason;
  return line + "\n";
}

/// "test accuracy  0.9812" for each number of a part.
void add_metrics(const Json& summary, const std::string& part, std::vector<Row>& rows) {
  const Json* values = lookup(summary, part);
  if (values == nullptr || !values->is_object()) return;
  for (const auto& [name, value] : values->items()) {
    if (!value.is_number()) continue;
    std::string label = part + " " + name;
    std::replace(label.begin(), label.end(), '_', ' ');
    rows.push_back({label, metric_text(value.get<double>())});
  }
}

void add_bytes(const Json& summary, std::vector<Row>& rows) {
  const auto sent = metric(summary, "bytes.payload_sent"), received = metric(summary, "bytes.payload_received");
  if (!sent || !received || *sent + *received == 0) return;
  std::string text = fmt::format("{} sent, {} received", human_bytes(*sent), human_bytes(*received));
  if (const auto predicted = metric(summary, "bytes.predicted_per_worker_step"))
    text += fmt::format(" ({} a worker and step foreseen)", human_bytes(*predicted));
  rows.push_back({"payload", text});
}

void add_weights(const Json& summary, std::vector<Row>& rows) {
  const auto count = metric(summary, "weights.count");
  if (!count) return;
  std::string text = count_text(*count);
  if (const std::string sum = text_field(summary, "weights.sha256"); !sum.empty())
    text += ", sha256 " + sum.substr(0, 16);
  rows.push_back({"weights", text});
}

/// "onebit, 27.1 times less than as floats"
void add_skipped(const Json& summary, std::vector<Row>& rows) {
  if (const auto skipped = metric(summary, "skipped_rows"); skipped && *skipped > 0)
    rows.push_back({"left out", fmt::format("{:.0f} rows of the files that could not be read", *skipped)});
}

void add_faults(const Json& summary, std::vector<Row>& rows) {
  const auto faults = metric(summary, "faults");
  if (!faults || *faults <= 0) return;
  const auto restarts = metric(summary, "restarts").value_or(0);
  rows.push_back({"faults", count_text(*faults) + (restarts > 0 ? ", " + plural(restarts, "restart") : "")});
}

void add_stages(const Json& summary, std::vector<Row>& rows) {
  const std::string slowest = text_field(summary, "stages.bottleneck");
  if (slowest.empty()) return;
  const auto share = [&](const std::string& stage) { return 100 * metric(summary, "stages." + stage).value_or(0); };
  rows.push_back({"stages", fmt::format("busy: read {:.0f} %, transform {:.0f} %, train {:.0f} %; the bottleneck: {}",
                                        share("read"), share("transform"), share("train"), slowest)});
}

void add_codec(const Json& summary, std::vector<Row>& rows) {
  const std::string name = text_field(summary, "codec.name"), of = text_field(summary, "codec.of");
  if (name.empty()) return;
  const auto ratio = metric(summary, "codec.ratio");
  rows.push_back({"codec", name + (of.empty() ? "" : " over " + of) +
                               (ratio ? fmt::format(", {:.3g} times fewer bytes than plain floats", *ratio) : "")});
}

/// "mean 3.01, at most 9; 0: 12 %, 1: 31 %, .."; at most eight shares.
void add_staleness(const Json& summary, std::vector<Row>& rows) {
  const Json* histogram = lookup(summary, "staleness.histogram");
  if (histogram == nullptr || !histogram->is_object() || text_field(summary, "policy") == "bsp") return;
  std::vector<std::pair<std::int64_t, double>> bars;
  double total = 0;
  for (const auto& [key, value] : histogram->items()) {
    const auto staleness = parse_integer(key);
    if (!staleness || !value.is_number()) continue;
    bars.emplace_back(*staleness, value.get<double>());
    total += value.get<double>();
  }
  if (bars.empty() || total <= 0) return;
  std::sort(bars.begin(), bars.end());
  std::vector<std::string> shares;
  for (std::size_t k = 0; k < std::min<std::size_t>(bars.size(), 8); ++k)
    shares.push_back(fmt::format("{}: {:.1f} %", bars[k].first, 100 * bars[k].second / total));
  if (bars.size() > 8) shares.emplace_back("..");
  const auto mean = metric(summary, "staleness.mean");
  rows.push_back({"staleness", fmt::format("{}at most {}  [{}]", mean ? fmt::format("mean {:.2f}, ", *mean) : "",
                                           bars.back().first, join(shares, ", "))});
}

/// What became of pushes that came too late, and the bounds that a policy has set.
void add_policy(const Json& summary, std::vector<Row>& rows) {
  if (const auto never = metric(summary, "rows_never_learned"))
    rows.push_back(
        {"quorum", fmt::format("{} late, {} given up, {} never learned",
                               plural(metric(summary, "late_pushes").value_or(0), "push"),
                               plural(metric(summary, "abandoned_steps").value_or(0), "step"), plural(*never, "row"))});
  const Json* bounds = lookup(summary, "bounds");
  if (bounds == nullptr || !bounds->is_object()) return;
  for (const auto& [name, value] : bounds->items())
    if (value.is_number()) rows.push_back({name, fmt::format("{} at the end", count_text(value.get<double>()))});
}

std::string results(const Json& summary) {
  std::vector<Row> rows;
  add_metrics(summary, "test", rows);
  add_metrics(summary, "train", rows);
  if (const auto speed = metric(summary, "samples_per_second"))
    rows.push_back({"speed", count_text(*speed) + " samples/s"});
  add_bytes(summary, rows);
  add_codec(summary, rows);
  add_skipped(summary, rows);
  add_stages(summary, rows);
  add_staleness(summary, rows);
  add_policy(summary, rows);
  add_faults(summary, rows);
  add_weights(summary, rows);
  return rows.empty() ? "" : "\n" + align(rows, 2, 2);
}

Row role_row(const Json& role) {
  const double compute = metric(role, "compute_seconds").value_or(0), wait = metric(role, "wait_seconds").value_or(0);
  const double communicate = metric(role, "communicate_seconds").value_or(0);
  const double total = compute + wait + communicate;
  auto share = [&](double seconds) { return total > 0 ? fmt::format("{:.1f} %", 100 * seconds / total) : "-"; };
  auto bytes = [&](const char* name) { return human_bytes(metric(role, name).value_or(0)); };
  const auto rank = metric(role, "rank");
  return {text_field(role, "role") + (rank ? " " + count_text(*rank) : ""),
          share(compute),
          share(wait),
          share(communicate),
          bytes("bytes_sent"),
          bytes("bytes_received"),
          metric(role, "rows") ? count_text(*metric(role, "rows")) : "-"};
}

std::string role_table(const Json& summary) {
  const Json* roles = lookup(summary, "roles");
  if (roles == nullptr || !roles->is_array() || roles->empty()) return "";
  std::vector<Row> rows{{"role", "compute", "wait", "communicate", "sent", "received", "rows"}};
  for (const Json& role : *roles) rows.push_back(role_row(role));
  return "\n" + align(rows, 1, 2);
}

std::string quoted(const std::string& path) {
  const bool simple = path.find_first_of(" \t\"'$&|;<>()*?[]#~`\\") == std::string::npos;
  if (simple) return path;
  std::string out = "'";
  for (const char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string files(const Json& summary) {
  const std::string run = text_field(summary, "run");
  if (run.empty()) return "";
  const bool done = text_field(summary, "status") == "done";
  std::vector<Row> rows{{"run", run}};
  if (done) rows.push_back({"model", (fs::path(run) / "model.safetensors").string()});
  rows.push_back({"report", (fs::path(run) / "report.html").string()});
  if (done)
    rows.push_back({"next", "dtrain predict " + quoted(run) + " --data FILE"});
  else if (metric(summary, "checkpoints").value_or(0) > 0)
    rows.push_back({"next", "dtrain resume " + quoted(run)});
  return "\n" + align(rows, 2, 2);
}

bool holds(double value, const std::string& comparison, double bound) {
  if (comparison == ">=") return value >= bound;
  if (comparison == ">") return value > bound;
  if (comparison == "<=") return value <= bound;
  if (comparison == "<") return value < bound;
  if (comparison == "==") return value == bound;
  if (comparison == "!=") return value != bound;
  fail(Kind::internal, "an assertion compares by \"{}\"", comparison);
}

}  // namespace

std::string render_summary(const Json& summary) {
  return headline(summary) + results(summary) + role_table(summary) + files(summary);
}

Json read_summary(const fs::path& run) {
  std::error_code ignored;
  const fs::path file = run / "summary.json";
  if (!fs::exists(file, ignored)) {
    if (fs::exists(run / "resolved.yaml", ignored))
      fail(Kind::usage, "the run in {} has not ended: it has no summary.json yet", run.string());
    fail(Kind::usage, "{} is not the folder of a run", run.string());
  }
  Json summary = Json::parse(read_file(file, Kind::usage), nullptr, false);
  if (!summary.is_object()) fail(Kind::usage, "{} is damaged: it is not a JSON object", file.string());
  return summary;
}

std::optional<double> metric(const Json& summary, const std::string& name) {
  const Json* value = lookup(summary, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->get<double>();
}

std::string text_field(const Json& summary, const std::string& name) {
  const Json* value = lookup(summary, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

std::vector<std::string> failed_assertions(const std::vector<job::Assertion>& assertions, const Json& summary) {
  std::vector<std::string> failed;
  for (const job::Assertion& assertion : assertions) {
    const auto value = metric(summary, assertion.metric);
    if (!value)
      failed.push_back(
          fmt::format("assertion failed: {}, but the run has no number {}", assertion.text, assertion.metric));
    else if (!std::isfinite(*value) || !holds(*value, assertion.comparison, assertion.bound))
      failed.push_back(fmt::format("assertion failed: {}, got {}", assertion.text, shortest(*value)));
  }
  return failed;
}

}  // namespace dtrain::report
