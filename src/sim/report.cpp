#include "sim/report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/text.hpp"
#include "report/table.hpp"

namespace dtrain::sim {
namespace {

/// Four digits, and never an exponent that a person must work out.
std::string rounded(double value) {
  return value >= 1000 && value < 1e15 ? with_commas(std::llround(value)) : fmt::format("{:.4g}", value);
}

std::uint64_t whole(double bytes) { return static_cast<std::uint64_t>(bytes); }

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

Json staleness_json(const Outcome& outcome) {
  Json histogram = Json::object();
  for (std::size_t age = 0; age < outcome.staleness.size(); ++age)
    if (outcome.staleness[age] > 0) histogram[std::to_string(age)] = outcome.staleness[age];
  return {{"mean", outcome.mean_staleness()}, {"max", outcome.max_staleness()}, {"histogram", histogram}};
}

Json changes_json(const Outcome& outcome) {
  Json list = Json::array();
  for (const sync::Change& change : outcome.changes)
    list.push_back({{"what", change.what}, {"from", change.from}, {"to", change.to}, {"clock", change.clock}});
  return list;
}

void add_training(const Result& result, Json& json) {
  json["loss"] = Json::array();
  for (const LossPoint& point : result.curve)
    json["loss"].push_back({{"seconds", point.seconds}, {"rows", point.rows}, {"loss", point.loss}});
  for (const auto& [name, value] : result.scores) json["test"][name] = value;
  json["weights"]["sha256"] = result.weights_sha256;
}

/// The curve at about so many points.
constexpr std::size_t shown_points = 10;

std::string render_training(const Result& result) {
  std::vector<report::Row> rows{{"time", "rows", "loss"}};
  const std::size_t count = result.curve.size(), shown = std::min(count, shown_points);
  for (std::size_t k = 1; k <= shown; ++k) {
    const LossPoint& point = result.curve[k * count / shown - 1];
    rows.push_back({rounded(point.seconds), with_commas(point.rows), report::metric_text(point.loss)});
  }
  std::string text = fmt::format("\n{}\n{}", result.policy, report::align(rows, 0, 2));
  for (const auto& [name, value] : result.scores)
    text += fmt::format("  test {} {}\n", name, report::metric_text(value));
  return text;
}

report::Row row_of(const Result& result, double first) {
  const Outcome& out = result.outcome;
  return {result.policy,
          rounded(out.time_per_step),
          out.time_per_step > 0 ? fmt::format("{:.2f} x", first / out.time_per_step) : "-",
          percent(out.utilisation()),
          percent(out.waiting()),
          percent(out.wasted()),
          fmt::format("{:.2f}", out.mean_staleness()),
          std::to_string(out.max_staleness()),
          human_bytes(out.bytes_per_step()),
          rounded(out.seconds)};
}

}  // namespace

double Outcome::mean_staleness() const {
  double sum = 0, pushes = 0;
  for (std::size_t age = 0; age < staleness.size(); ++age) {
    sum += static_cast<double>(age) * static_cast<double>(staleness[age]);
    pushes += static_cast<double>(staleness[age]);
  }
  return pushes > 0 ? sum / pushes : 0;
}

std::uint64_t Outcome::max_staleness() const {
  for (std::size_t age = staleness.size(); age > 0; --age)
    if (staleness[age - 1] > 0) return age - 1;
  return 0;
}

double Outcome::bytes_per_step() const {
  return worker_steps > 0 ? (bytes_pushed + bytes_pulled - bytes_first) / static_cast<double>(worker_steps) : 0;
}

Json to_json(const Result& result) {
  const Outcome& out = result.outcome;
  Json json = {{"policy", result.policy},
               {"time_per_step", out.time_per_step},
               {"seconds", out.seconds},
               {"utilisation", out.utilisation()},
               {"waiting", out.waiting()},
               {"wasted", out.wasted()},
               {"staleness", staleness_json(out)},
               {"bytes", whole(out.bytes_pushed + out.bytes_pulled)},
               {"bytes_pushed", whole(out.bytes_pushed)},
               {"bytes_pulled", whole(out.bytes_pulled)},
               {"bytes_per_step", out.bytes_per_step()},
               {"messages", out.messages},
               {"updates", out.updates},
               {"worker_steps", out.worker_steps},
               {"abandoned_steps", out.abandoned},
               {"late_pushes", out.late}};
  if (out.torn > 0) json["torn_pushes"] = out.torn;
  if (!out.changes.empty()) json["changes"] = changes_json(out);
  if (!result.weights_sha256.empty()) add_training(result, json);
  return json;
}

std::string render(const std::vector<Result>& results) {
  std::vector<report::Row> rows{{"policy", "time a step", "speed", "computing", "waiting", "wasted", "staleness",
                                 "at most", "bytes a step", "all done after"}};
  const double first = results.empty() ? 0 : results.front().outcome.time_per_step;
  for (const Result& result : results) rows.push_back(row_of(result, first));
  std::string text = report::align(rows, 1, 0);
  for (const Result& result : results)
    if (!result.weights_sha256.empty()) text += render_training(result);
  return text;
}

}  // namespace dtrain::sim
