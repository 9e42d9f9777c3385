#include "report/history.hpp"

#include <cmath>
#include <optional>

#include "base/file.hpp"
#include "base/text.hpp"
#include "report/summary.hpp"
#include "report/table.hpp"

namespace dtrain::report {
namespace {

void add(Curve& curve, double step, std::optional<double> value) {
  while (!curve.empty() && curve.back().x >= step) curve.pop_back();
  if (value && std::isfinite(*value)) curve.push_back({step, *value});
}

void add_step(History& history, const Json& event, double step) {
  add(history.loss, step, metric(event, "loss"));
  add(history.speed, step, metric(event, "samples_per_second"));
  add(history.learning_rate, step, metric(event, "learning_rate"));
}

void add_test(History& history, const Json& event, double step) {
  const auto test = event.find("test");
  if (test == event.end() || !test->is_object()) return;
  for (const auto& [name, value] : test->items())
    if (value.is_number()) add(history.test[name], step, value.get<double>());
}

std::string describe_fault(const Json& event) {
  const auto rank = metric(event, "rank");
  std::string who = text_field(event, "role");
  if (rank) who += " " + count_text(*rank);
  const std::string what = text_field(event, "what");
  return who.empty() ? what : who + ": " + what;
}

std::string describe_checkpoint(const Json& event) {
  const auto seconds = metric(event, "seconds");
  return "checkpoint" + (seconds ? " in " + human_seconds(*seconds) : std::string());
}

std::string describe_end(const Json& event) {
  const std::string status = text_field(event, "status"), reason = text_field(event, "reason");
  return (status.empty() ? "done" : status) + (reason.empty() ? "" : ": " + reason);
}

std::string time_of(const Json& event) {
  const auto seconds = metric(event, "time");
  return seconds ? human_seconds(*seconds) : text_field(event, "time");
}

void add_event(History& history, const Json& event) {
  const std::string kind = text_field(event, "event");
  const auto step = metric(event, "step");
  auto happened = [&](const std::string& what, bool bad) {
    history.happenings.push_back({time_of(event), step.value_or(-1), what, bad});
  };
  if (kind == "step" && step) add_step(history, event, *step);
  if (kind == "eval" && step) add_test(history, event, *step);
  if (kind == "fault") happened(describe_fault(event), true);
  if (kind == "checkpoint") happened(describe_checkpoint(event), false);
  if (kind == "resume") happened("resumed", false);
  if (kind == "recovery") happened("went on", false);
  if (kind == "done") happened(describe_end(event), text_field(event, "status") == "failed");
}

}  // namespace

History parse_history(const std::string& text) {
  History history;
  for (const std::string& line : split(text, '\n')) {
    if (trim(line).empty()) continue;
    const Json event = Json::parse(line, nullptr, false);
    if (event.is_object())
      add_event(history, event);
    else
      ++history.damaged_lines;
  }
  return history;
}

History read_history(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return {};
  return parse_history(read_file(file, Kind::environment));
}

}  // namespace dtrain::report
