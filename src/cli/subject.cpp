#include "cli/subject.hpp"

#include <optional>

#include "base/file.hpp"
#include "job/read.hpp"
#include "launch/children.hpp"
#include "math/gemm.hpp"
#include "role/evaluate.hpp"

namespace dtrain::cli {
namespace {

fs::path model_file(const std::string& given) {
  std::error_code ignored;
  const fs::path path = given;
  if (!fs::exists(path, ignored)) fail(Kind::usage, "there is no {}", given);
  if (!fs::is_directory(path, ignored)) return path;
  if (!fs::exists(path / "model.safetensors", ignored))
    fail(Kind::checkpoint, "{} has no model.safetensors: it is no run, or one that has not ended", given);
  return path / "model.safetensors";
}

/// The job that says how the data is written, if any does.
std::optional<job::Job> find_job(const Options& options, const fs::path& model) {
  std::error_code ignored;
  const fs::path resolved = model.parent_path() / "resolved.yaml";
  if (!options.data_job.empty()) return job::load_job(options.data_job, options.set);
  if (fs::exists(resolved, ignored)) return job::load_job(resolved.string(), options.set);
  if (!options.set.empty()) fail(Kind::usage, "--set needs a job to change: give --job JOB");
  return std::nullopt;
}

bool has_test_part(const job::Data& data) {
  if (data.holdout > 0) return true;
  return data.format == job::Format::generated ? data.generate.test_rows > 0 : !data.test.features.empty();
}

std::unique_ptr<data::Rows> test_part(const std::optional<job::Job>& job, const data::Encoding& encoding) {
  if (!job) fail(Kind::usage, "nothing says which rows to use: give --data FILE or --job JOB");
  if (!has_test_part(job->data)) fail(Kind::usage, "the job has no test part: give --data FILE");
  return data::load(*job, encoding, data::Part::test, "");
}

std::unique_ptr<data::Rows> given_rows(const Options& options, const std::optional<job::Job>& job,
                                       const data::Encoding& encoding, bool labels_required) {
  if (encoding.format == job::Format::generated)
    fail(Kind::usage, "the model was trained on generated rows, which have no file format: leave --data out");
  if (encoding.format == job::Format::idx && labels_required && options.labels.empty())
    fail(Kind::usage, "IDX data has its labels in a file of their own: give --labels FILE");
  job::Data data = job ? job->data : job::Data{};
  data.format = encoding.format;
  const std::string labels = options.labels.empty() ? "" : fs::absolute(options.labels).string();
  return data::load_files(data, encoding, {fs::absolute(options.data).string(), labels}, labels_required);
}

}  // namespace

Subject load_subject(const Options& options, bool labels_required) {
  if (options.data.empty() && !options.labels.empty()) fail(Kind::usage, "--labels goes with --data");
  const fs::path path = model_file(options.model);
  Subject subject{store::load_model(path), nullptr};
  const std::optional<job::Job> job = find_job(options, path);
  const data::Encoding& encoding = subject.saved.encoding;
  subject.rows = options.data.empty() ? test_part(job, encoding) : given_rows(options, job, encoding, labels_required);
  for (const std::string& remark : subject.rows->remarks()) Log(level(options), "dtrain: ").warn("{}", remark);
  return subject;
}

void show(const Subject& subject, const std::function<void(Matrix outputs, std::span<const float> targets)>& use) {
  set_blas_threads(1);
  role::Evaluator evaluator(subject.saved.model, subject.saved.encoding, launch::cores());
  evaluator.predict(*subject.rows, subject.saved.weights.span(), use);
}

}  // namespace dtrain::cli
