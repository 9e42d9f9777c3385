/// data info FILE|JOB: what is in the rows, before anything is fitted.

#include <optional>

#include "base/text.hpp"
#include "cli/data_files.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "data/files.hpp"
#include "data/profile.hpp"
#include "report/table.hpp"

namespace dtrain::cli {
namespace {

using Kind = data::ColumnProfile::Kind;

const char* word(Kind kind) { return kind == Kind::number ? "number" : kind == Kind::date ? "date" : "text"; }

Json to_json(const data::ColumnProfile& column) {
  Json out{
      {"name", column.name}, {"kind", word(column.kind)}, {"missing", column.missing}, {"distinct", column.distinct}};
  if (column.kind == Kind::number)
    out.update({{"low", column.low}, {"high", column.high}, {"mean", column.mean}, {"deviation", column.deviation}});
  for (const auto& [value, count] : column.most_frequent) out["counts"].push_back({{"value", value}, {"rows", count}});
  return out;
}

Json to_json(const data::Profile& profile) {
  Json out{{"rows", profile.rows},
           {"width", profile.width},
           {"skipped", profile.skipped},
           {"duplicates", profile.duplicates},
           {"columns", Json::array()}};
  for (const auto& column : profile.columns) out["columns"].push_back(to_json(column));
  if (!profile.target.empty()) out["target"] = to_json(profile.target.front());
  return out;
}

/// "gas 267, district 133, ..": as many as are read at a glance.
std::string counts_text(const data::ColumnProfile& column, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(most, column.most_frequent.size()); ++i)
    out += fmt::format("{}{} {}", i == 0 ? "" : ", ", column.most_frequent[i].first.substr(0, 24),
                       with_commas(column.most_frequent[i].second));
  return column.distinct > static_cast<Index>(most) ? out + ", .." : out;
}

report::Row row_of(const data::ColumnProfile& column) {
  const bool number = column.kind == Kind::number;
  const auto text = [&](double value) { return number ? fmt::format("{:.5g}", value) : std::string(); };
  return {column.name,
          word(column.kind),
          with_commas(column.missing),
          column.distinct > 0 ? with_commas(column.distinct) : "",
          text(column.low),
          text(column.mean),
          text(column.high),
          text(column.deviation)};
}

std::string render(const char* part, const data::Profile& profile) {
  std::string out = fmt::format("{}: {} rows, {} columns", part, with_commas(profile.rows), with_commas(profile.width));
  if (profile.skipped > 0) out += fmt::format(", {} left out", with_commas(profile.skipped));
  if (profile.duplicates > 0) out += fmt::format("; {} rows repeat an earlier one", with_commas(profile.duplicates));
  std::vector<report::Row> rows{{"column", "kind", "missing", "distinct", "low", "mean", "high", "deviation"}};
  for (const auto& column : profile.columns) rows.push_back(row_of(column));
  for (const auto& target : profile.target) {
    rows.push_back(row_of(target));
    rows.back()[0] = (target.name.empty() ? std::string("label") : target.name) + " (target)";
  }
  out += "\n" + report::align(rows, 2, 2);
  for (const auto& column : profile.columns)
    if (column.kind == Kind::text) out += fmt::format("  {}: {}\n", column.name, counts_text(column, 5));
  for (const auto& target : profile.target)
    if (!target.most_frequent.empty()) out += fmt::format("  target: {}\n", counts_text(target, 20));
  return out;
}

}  // namespace

int data_info(const Options& options) {
  const job::Job job = job_of_files(options);
  const auto train = data::raw_part(job, data::Part::train, nullptr);
  const auto test = data::raw_part(job, data::Part::test, &*train);
  if (job.data.format == job::Format::mapped) train->verify(job.data.train.features);
  if (job.data.format == job::Format::mapped && test) test->verify(job.data.test.features);
  Json out{{"train", to_json(data::profile_of(*train))}};
  std::string text = render(is_job(options.path) ? "train" : options.path.c_str(), data::profile_of(*train));
  if (test) {
    const Index shared = data::shared_rows(*train, *test);
    out["test"] = to_json(data::profile_of(*test));
    out["shared"] = shared;
    text += render("test", data::profile_of(*test));
    text +=
        fmt::format("{} of {} test rows are among the training rows\n", with_commas(shared), with_commas(test->rows()));
  }
  if (options.json)
    print_json(out);
  else
    print(text);
  return 0;
}

}  // namespace dtrain::cli
