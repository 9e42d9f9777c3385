#include "cli/data_files.hpp"

#include <array>
#include <filesystem>
#include <utility>

#include "base/error.hpp"
#include "data/guess.hpp"
#include "job/read.hpp"

namespace dtrain::cli {
namespace {

bool describes_file(const Options& options) {
  return !options.format.empty() || !options.target.empty() || !options.delimiter.empty() || options.no_header ||
         !options.labels.empty();
}

job::Data named_format(const Options& options) {
  constexpr std::array<std::pair<const char*, job::Format>, 5> formats{{{"csv", job::Format::csv},
                                                                        {"tsv", job::Format::tsv},
                                                                        {"libsvm", job::Format::libsvm},
                                                                        {"idx", job::Format::idx},
                                                                        {"npy", job::Format::npy}}};
  const std::filesystem::path file = std::filesystem::absolute(options.path).lexically_normal();
  job::Data data;
  data.dir = file.parent_path().string();
  data.train.features = file.filename().string();
  for (const auto& [name, format] : formats)
    if (options.format == name) data.format = format;
  return data;
}

}  // namespace

bool is_job(const std::string& path) { return path.ends_with(".yaml") || path.ends_with(".yml"); }

job::Job job_of_files(const Options& options) {
  if (is_job(options.path)) {
    if (describes_file(options)) fail(Kind::usage, "the job says what its files are; change it with --set");
    return job::load_job(options.path, options.set);
  }
  if (!options.set.empty()) fail(Kind::usage, "--set changes a job, and {} is none", options.path);
  job::Job job;
  job.data = options.format.empty() ? data::guess_data(options.path) : named_format(options);
  if (!options.target.empty()) job.data.csv.target = options.target;
  if (!options.delimiter.empty()) job.data.csv.delimiter = options.delimiter;
  if (options.no_header) job.data.csv.header = false;
  if (!options.labels.empty()) job.data.train.labels = std::filesystem::absolute(options.labels).string();
  return job;
}

}  // namespace dtrain::cli
