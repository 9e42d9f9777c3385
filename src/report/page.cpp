#include "report/page.hpp"

#include <algorithm>
#include <vector>

#include "base/file.hpp"
#include "base/text.hpp"
#include "report/chart.hpp"
#include "report/history.hpp"
#include "report/page_style.hpp"
#include "report/summary.hpp"
#include "report/table.hpp"

namespace dtrain::report {
namespace {

std::string read_if_there(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? read_file(path, Kind::environment) : std::string();
}

/// {} if the file is absent or damaged: a page about what is left is better than none.
Json json_if_there(const fs::path& path) {
  Json json = Json::parse(read_if_there(path), nullptr, false);
  return json.is_object() ? json : Json::object();
}

std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>\n{}</section>\n", escape(title), body);
}

std::string tile(const std::string& label, const std::string& value) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>", escape(value), escape(label));
}

std::string tiles(const Json& summary, const History& history) {
  std::string out;
  if (summary.contains("test") && summary["test"].is_object()) {
    for (const auto& [name, value] : summary["test"].items())
      if (value.is_number()) out += tile("test " + name, fmt::format("{:.4f}", value.get<double>()));
  } else {
    for (const auto& [name, curve] : history.test)
      if (!curve.empty()) out += tile("test " + name + " so far", fmt::format("{:.4f}", curve.back().y));
  }
  if (const auto loss = metric(summary, "train.loss")) out += tile("train loss", fmt::format("{:.4g}", *loss));
  if (const auto speed = metric(summary, "samples_per_second")) out += tile("samples per second", count_text(*speed));
  if (const auto seconds = metric(summary, "seconds")) out += tile("training time", human_seconds(*seconds));
  if (const auto steps = metric(summary, "steps")) out += tile("steps", count_text(*steps));
  return out.empty() ? "" : "<div class=\"tiles\">" + out + "</div>\n";
}

std::string header(const Json& summary, const fs::path& run) {
  const std::string named = text_field(summary, "name");
  const std::string name = named.empty() ? fs::path(run).lexically_normal().filename().string() : named;
  std::string status = text_field(summary, "status");
  if (status.empty()) status = "unfinished";
  std::string line = fmt::format("<header><h1>{}</h1><span class=\"status {}\">{}</span>", escape(name),
                                 status == "done"     ? "good"
                                 : status == "failed" ? "bad"
                                                      : "open",
                                 escape(status));
  if (const std::string reason = text_field(summary, "reason"); !reason.empty() && status != "done")
    line += "<p>" + escape(reason) + "</p>";
  return line + "</header>\n";
}

std::string curves(const History& history) {
  std::string out = render_chart({"Training loss", "step", {{"loss", history.loss}}, true});
  std::vector<Series> shares;
  for (const auto& [name, curve] : history.test) {
    // Numbers of one kind share a figure; losses and errors have scales of their own.
    if (name == "accuracy" || name == "auc" || name == "r2")
      shares.push_back({name, curve, true});
    else
      out += render_chart({"Test " + name, "step", {{name, curve, true}}, true});
  }
  std::string title = "Test";
  for (const Series& series : shares) title += (shares.size() > 1 && &series != &shares[0] ? ", " : " ") + series.label;
  out += render_chart({title, "step", shares, false});
  out += render_chart({"Samples per second", "step", {{"speed", history.speed}}, false, true});
  out += render_chart({"Learning rate", "step", {{"learning rate", history.learning_rate}}, false});
  return out.empty() ? "" : "<div class=\"figures\">" + out + "</div>";
}

struct Share {
  const char* field;
  const char* label;
};
constexpr Share shares_of_time[] = {
    {"compute_seconds", "compute"}, {"communicate_seconds", "communicate"}, {"wait_seconds", "wait"}};

std::string time_bar(const Json& role) {
  double total = 0;
  for (const Share& share : shares_of_time) total += std::max(0.0, metric(role, share.field).value_or(0));
  std::string out = "<div class=\"bar\">";
  for (std::size_t k = 0; k < std::size(shares_of_time) && total > 0; ++k) {
    const double seconds = std::max(0.0, metric(role, shares_of_time[k].field).value_or(0));
    const double percent = 100 * seconds / total;
    out += fmt::format("<i class=\"back{}\" style=\"width:{:.2f}%\" title=\"{} {:.1f} %, {}\"></i>", k, percent,
                       shares_of_time[k].label, percent, human_seconds(seconds));
  }
  return out + "</div>";
}

std::string role_name(const Json& role) {
  const auto rank = metric(role, "rank");
  return text_field(role, "role") + (rank ? " " + count_text(*rank) : "");
}

std::string role_times(const Json& summary) {
  if (!summary.contains("roles") || !summary["roles"].is_array() || summary["roles"].empty()) return "";
  std::string rows;
  for (const Json& role : summary["roles"]) {
    rows += fmt::format("<tr><th>{}</th><td class=\"wide\">{}</td>", escape(role_name(role)), time_bar(role));
    for (const char* field : {"bytes_sent", "bytes_received"})
      rows += fmt::format("<td class=\"number\">{}</td>", human_bytes(metric(role, field).value_or(0)));
    rows += fmt::format("<td class=\"number\">{}</td></tr>\n", count_text(metric(role, "rows").value_or(0)));
  }
  std::string legend = "<div class=\"legend\">";
  for (std::size_t k = 0; k < std::size(shares_of_time); ++k)
    legend += fmt::format("<span><i class=\"back{}\"></i>{}</span>", k, shares_of_time[k].label);
  return legend +
         "</div><table><thead><tr><th>role</th><th>time</th><th class=\"number\">sent</th>"
         "<th class=\"number\">received</th><th class=\"number\">rows</th></tr></thead><tbody>" +
         rows + "</tbody></table>";
}

std::string staleness(const Json& summary) {
  if (!summary.contains("staleness") || !summary["staleness"].is_object()) return "";
  const Json histogram = summary["staleness"].value("histogram", Json());
  if (!histogram.is_object()) return "";
  std::vector<std::pair<std::int64_t, double>> bars;
  double total = 0;
  for (const auto& [key, value] : histogram.items())
    if (const auto clock = parse_integer(key); clock && value.is_number() && value.get<double>() > 0) {
      bars.emplace_back(*clock, value.get<double>());
      total += bars.back().second;
    }
  if (bars.size() < 2) return "";  // synchronous: nothing was stale
  std::sort(bars.begin(), bars.end());
  std::string rows;
  for (const auto& [clock, count] : bars)
    rows += fmt::format(
        "<tr><th>{}</th><td class=\"wide\"><div class=\"bar\"><i class=\"back0\" style=\"width:{:.2f}%\"></i></div>"
        "</td><td class=\"number\">{}</td><td class=\"number\">{:.1f} %</td></tr>\n",
        clock, 100 * count / total, count_text(count), 100 * count / total);
  const auto mean = metric(summary, "staleness.mean");
  return (mean ? fmt::format("<p>mean {:.2f}</p>", *mean) : "") +
         "<table><thead><tr><th>staleness</th><th></th><th class=\"number\">pushes</th><th "
         "class=\"number\">share</th></tr>"
         "</thead><tbody>" +
         rows + "</tbody></table>";
}

std::string happenings(const History& history) {
  std::string rows;
  for (const Happening& event : history.happenings)
    rows += fmt::format("<tr{}><td>{}</td><td class=\"number\">{}</td><td class=\"wide\">{}</td></tr>\n",
                        event.bad ? " class=\"bad\"" : "", escape(event.time),
                        event.step < 0 ? "" : count_text(event.step), escape(event.what));
  std::string note;
  if (history.damaged_lines > 0)
    note = fmt::format("<p>{} damaged line(s) of metrics.jsonl are left out.</p>", history.damaged_lines);
  if (rows.empty()) return note;
  return "<table><thead><tr><th>time</th><th class=\"number\">step</th><th></th></tr></thead><tbody>" + rows +
         "</tbody></table>" + note;
}

/// The numbers of a document that is made for programs: one row a leaf that is no list.
void add_facts(const Json& json, const std::string& prefix, std::string& rows) {
  for (const auto& [key, value] : json.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object() && prefix.size() < 64)
      add_facts(value, name, rows);
    else if (value.is_primitive() && !value.is_null())
      rows += fmt::format("<tr><th>{}</th><td class=\"wide\">{}</td></tr>\n", escape(name),
                          escape(value.is_string() ? value.get<std::string>() : value.dump()));
  }
}

std::string facts(const Json& json) {
  std::string rows;
  add_facts(json, "", rows);
  return rows.empty() ? "" : "<table><tbody>" + rows + "</tbody></table>";
}

std::string fold(const std::string& title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<details><summary>{}</summary>{}</details>\n", escape(title), body);
}

std::string preformatted(const std::string& text) { return text.empty() ? "" : "<pre>" + escape(text) + "</pre>"; }

}  // namespace

std::string render_page(const fs::path& run) {
  const Json summary = json_if_there(run / "summary.json");
  const History history = read_history(run / "metrics.jsonl");
  const std::string body = header(summary, run) + tiles(summary, history) + section("Curves", curves(history)) +
                           section("Where the time went", role_times(summary)) +
                           section("Staleness", staleness(summary)) + section("Events", happenings(history)) +
                           fold("Summary", facts(summary)) + fold("Plan", facts(json_if_there(run / "plan.json"))) +
                           fold("The job, resolved", preformatted(read_if_there(run / "resolved.yaml")));
  const std::string named = text_field(summary, "name");
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">"
      "<title>{}</title>\n<style>{}</style></head>\n<body><main>\n{}</main></body></html>\n",
      escape(named.empty() ? "dtrain" : named + " - dtrain"), page_style, body);
}

}  // namespace dtrain::report
