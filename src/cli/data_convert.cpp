/// data convert FILE|JOB -o OUT: the rows as they were read, in the form that is mapped.

#include <filesystem>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "cli/data_files.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "data/files.hpp"

namespace dtrain::cli {
namespace {

/// "flats.rows" becomes "flats.test.rows".
std::string test_name(const std::string& train) {
  const std::filesystem::path path(train);
  return (path.parent_path() / (path.stem().string() + ".test" + path.extension().string())).string();
}

/// Writes, and reads back what was written.
Json convert(const data::Table& table, const std::string& path) {
  table.write(path);
  const data::Table written = data::Table::map(path);
  written.verify(path);
  return {{"file", path},
          {"rows", written.rows()},
          {"columns", written.width()},
          {"skipped", written.skipped()},
          {"bytes", std::filesystem::file_size(path)},
          {"hash", hex(written.hash())}};
}

std::string sentence(const Json& done) {
  const auto skipped = done["skipped"].get<Index>();
  return fmt::format("{} is written: {} rows of {} columns, {}{}\n", done["file"].get<std::string>(),
                     with_commas(done["rows"].get<Index>()), with_commas(done["columns"].get<Index>()),
                     human_bytes(done["bytes"].get<double>()),
                     skipped > 0 ? fmt::format("; {} rows left out", with_commas(skipped)) : "");
}

}  // namespace

int data_convert(const Options& options) {
  if (options.file.empty()) fail(Kind::usage, "data convert needs -o FILE, where the rows are written");
  const job::Job job = job_of_files(options);
  if (job.data.format == job::Format::generated) fail(Kind::usage, "generated rows have no files to convert");
  const auto train = data::raw_part(job, data::Part::train, nullptr);
  const auto test = data::raw_part(job, data::Part::test, &*train);
  Json out{{"train", convert(*train, options.file)}};
  std::string text = sentence(out["train"]);
  if (test) {
    out["test"] = convert(*test, test_name(options.file));
    text += sentence(out["test"]);
  }
  if (options.json)
    print_json(out);
  else
    print(text);
  return 0;
}

}  // namespace dtrain::cli
