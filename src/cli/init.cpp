/// init --data FILE --target COLUMN: a job that trains at once.

#include "base/error.hpp"
#include "base/file.hpp"
#include "cli/init_job.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "data/files.hpp"
#include "data/guess.hpp"
#include "job/read.hpp"

namespace dtrain::cli {
namespace {

void check_target(const data::Profile& profile, const Options& options) {
  const data::ColumnProfile& target = profile.target.front();
  if (target.missing > 0)
    fail(Kind::data, "{}: column '{}' has no value in {} of {} rows: give a file with the labelled rows only",
         options.data, target.name, target.missing, profile.rows);
  if (target.distinct < 2)
    fail(Kind::data, "{}: column '{}' has the same value in all rows: there is nothing to predict", options.data,
         target.name);
  if (target.kind == data::ColumnProfile::Kind::text && target.distinct > profile.rows / 2)
    fail(Kind::data, "{}: column '{}' has {} values in {} rows: those are no classes", options.data, target.name,
         target.distinct, profile.rows);
}

/// As a job in `folder` names it.
std::string folder_from(const fs::path& folder, const std::string& dir) {
  const std::string relative = fs::path(dir).lexically_relative(fs::absolute(folder).lexically_normal()).string();
  return relative.empty() ? dir : relative;
}

}  // namespace

int init(const Options& options) {
  const fs::path file = options.file.empty() ? "job.yaml" : options.file;
  std::error_code ignored;
  if (fs::exists(file, ignored)) fail(Kind::usage, "{} is there already: name another with -o", file.string());
  job::Job job;
  job.data = data::guess_data(options.data);
  if (job.data.format != job::Format::csv)
    fail(Kind::usage, "{} has no named columns: init writes jobs for CSV and its kin", options.data);
  job.data.csv.target = options.target;
  const data::Profile profile = data::profile_of(*data::raw_part(job, data::Part::train, nullptr));
  check_target(profile, options);
  job.data.dir = folder_from(fs::absolute(file).parent_path(), job.data.dir);
  const std::string text = job_for(file.stem().string(), job.data, profile);
  const job::ReadResult read = job::read_job(text, file.string());
  if (!read.ok()) fail(Kind::internal, "the job that was written is wrong: {}", job::render(read));
  write_file(file, text);
  const std::string next = "dtrain run " + file.string();
  if (options.json)
    print_json(Json{{"job", file.string()}, {"next", next}});
  else
    print(fmt::format("{} is written; now: {}\n", file.string(), next));
  return 0;
}

}  // namespace dtrain::cli
