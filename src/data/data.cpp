// The two doors to the rows: survey(), which fits, and load(), which applies what was fitted.

#include "data/data.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/contents.hpp"
#include "data/csv.hpp"
#include "data/generate.hpp"
#include "data/idx.hpp"
#include "data/libsvm.hpp"
#include "data/normalize.hpp"
#include "data/storage.hpp"

namespace dtrain::data {
namespace {

IdxArray read_idx(const job::Data& data, const std::string& path) {
  const std::string file = resolve(data, path);
  return parse_idx(read_contents(file), file);
}

std::unique_ptr<Source> open_files(const job::Data& data, const job::Files& files) {
  if (files.features.empty()) fail(Kind::data, "no file of features is named");
  const std::string file = resolve(data, files.features);
  std::vector<IdxArray> labels;
  switch (data.format) {
    case job::Format::idx:
      if (!files.labels.empty()) labels.push_back(read_idx(data, files.labels));
      return idx_source(read_idx(data, files.features), std::move(labels));
    case job::Format::csv: return csv_source(read_contents(file), file, data.csv);
    case job::Format::libsvm: return libsvm_source(read_contents(file), file, data.libsvm_features);
    case job::Format::npy:
    case job::Format::tsv:
    case job::Format::mapped: fail(Kind::data, "this format cannot be read yet");
    case job::Format::generated: break;
  }
  fail(Kind::data, "generated data has no files: name a data format");
}

bool has_own_test(const job::Data& data) {
  return data.format == job::Format::generated ? data.generate.test_rows > 0 : !data.test.features.empty();
}

bool holds_out(const job::Data& data) { return data.holdout > 0 && !has_own_test(data); }

std::unique_ptr<Source> open_part(const job::Job& job, Part part) {
  if (job.data.format == job::Format::generated) return generated_source(job.data.generate, job.seed, part);
  return open_files(job.data, part == Part::train ? job.data.train : job.data.test);
}

/// Which rows of the training file train, and which are kept for testing; both ascending. Empty: nothing is held out.
struct Split {
  std::vector<std::uint32_t> train, test;
};

Split split_rows(const job::Job& job, Index rows) {
  if (!holds_out(job.data)) return {};
  if (rows < 2) fail(Kind::data, "data.holdout needs at least 2 rows, there are {}", rows);
  const auto share = static_cast<Index>(std::llround(job.data.holdout * static_cast<double>(rows)));
  const auto kept = static_cast<std::ptrdiff_t>(std::clamp<Index>(share, 1, rows - 1));
  Split split;
  permutation(job.seed, Purpose::holdout, 0, rows, split.train);
  split.test.assign(split.train.begin(), split.train.begin() + kept);
  split.train.erase(split.train.begin(), split.train.begin() + kept);
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.test.begin(), split.test.end());
  return split;
}

Decoded keep(Decoded all, std::span<const std::uint32_t> rows) {
  if (rows.empty()) return all;
  Decoded kept;
  kept.features = all.features->select(rows);
  kept.targets.reserve(rows.size());
  for (const std::uint32_t row : rows) kept.targets.push_back(all.targets[row]);
  return kept;
}

class EncodedRows final : public Rows {
 public:
  EncodedRows(Decoded decoded, const Encoding& encoding)
      : features_(std::move(decoded.features)), shift_(encoding.shift), scale_(encoding.scale) {
    targets_.reserve(decoded.targets.size());
    for (const double target : decoded.targets)
      targets_.push_back(static_cast<float>((target - encoding.target_shift) / encoding.target_scale));
  }
  Index count() const override { return features_->rows(); }
  Index width() const override { return features_->width(); }
  std::size_t bytes() const override {
    return features_->bytes() + (targets_.capacity() + shift_.capacity() + scale_.capacity()) * sizeof(float);
  }
  void gather(std::span<const std::uint32_t> rows, Matrix features, std::span<float> targets) const override {
    const Affine affine{shift_, scale_};
    for (std::size_t k = 0; k < rows.size(); ++k) {
      features_->encode(rows[k], affine, features.row(static_cast<Index>(k)));
      targets[k] = targets_[rows[k]];
    }
  }

 private:
  std::unique_ptr<Storage> features_;
  std::vector<float> targets_, shift_, scale_;
};

/// A part's half of Facts::hash: 16 digits for the training rows' file, then 16 for the test rows' if it has its own.
std::string expected_hash_of(Part part, const job::Data& data, const std::string& hash) {
  return part == Part::test && !holds_out(data) ? hash.substr(std::min<std::size_t>(16, hash.size()))
                                                : hash.substr(0, 16);
}

void survey_train(const job::Job& job, Survey& survey) {
  const bool regression = job.model.loss == job::Loss::mean_squared_error;
  const auto source = open_part(job, Part::train);
  survey.facts.hash = hex(source->hash());
  const Split split = split_rows(job, holds_out(job.data) ? source->rows() : 0);
  survey.encoding = source->survey(job.model, split.train);
  set_scale(job.data.normalize, survey.encoding);
  survey.facts.test_rows = std::ssize(split.test);
  const job::Normalize& normalize = job.data.normalize;
  const bool fits = normalize.features != job::Fit::none || (regression && normalize.target != job::Fit::none);
  if (job.data.format == job::Format::generated && !fits) {
    survey.facts.train_rows = source->rows() - survey.facts.test_rows;
    return;
  }
  const Decoded train = keep(source->decode(survey.encoding, true), split.train);
  survey.facts.train_rows = train.features->rows();
  fit_features(normalize, *train.features, survey.encoding);
  if (regression) fit_target(normalize.target, train.targets, survey.encoding);
}

void survey_test(const job::Job& job, Survey& survey) {
  if (!has_own_test(job.data)) return;
  const auto source = open_part(job, Part::test);
  survey.facts.hash += hex(source->hash());
  survey.facts.test_rows = job.data.format == job::Format::generated
                               ? source->rows()
                               : source->decode(survey.encoding, true).features->rows();
}

/// Names of the classes, as one counts them.
std::vector<std::string> class_names(const job::Model& model, const Encoding& encoding) {
  if (model.loss == job::Loss::mean_squared_error) return {"rows"};
  if (!encoding.classes.empty()) return encoding.classes;
  std::vector<std::string> names;
  const Index classes = std::max<Index>(2, model.layers.back().dense);
  for (Index c = 0; c < classes; ++c) names.push_back(std::to_string(c));
  return names;
}

void survey_shards(const job::Job& job, Survey& survey) {
  if (job.data.sharing != job::Sharing::shard) return;
  const auto rows = load(job, survey.encoding, Part::train, "");
  const bool number = job.model.loss == job::Loss::mean_squared_error;
  const auto none = std::vector<std::uint32_t>(static_cast<std::size_t>(rows->count()), 0);
  survey.facts.shards = cut_shards(job, number ? none : classes_of(*rows), class_names(job.model, survey.encoding));
}

}  // namespace

Survey survey(const job::Job& job) {
  Survey result;
  survey_train(job, result);
  survey_test(job, result);
  survey_shards(job, result);
  return result;
}

std::vector<std::uint32_t> classes_of(const Rows& rows) {
  constexpr Index chunk = 256;
  Arena features(chunk * rows.width());
  std::vector<float> targets(chunk);
  std::vector<std::uint32_t> numbers, classes;
  for (Index begin = 0; begin < rows.count(); begin += chunk) {
    numbers.resize(static_cast<std::size_t>(std::min(chunk, rows.count() - begin)));
    std::iota(numbers.begin(), numbers.end(), static_cast<std::uint32_t>(begin));
    rows.gather(numbers, Matrix(features.data(), std::ssize(numbers), rows.width()), targets);
    for (std::size_t k = 0; k < numbers.size(); ++k) classes.push_back(static_cast<std::uint32_t>(targets[k]));
  }
  return classes;
}

std::unique_ptr<Rows> load(const job::Job& job, const Encoding& encoding, Part part, const std::string& expected_hash) {
  const bool from_train = part == Part::train || holds_out(job.data);
  if (!from_train && !has_own_test(job.data)) fail(Kind::data, "there are no test rows");
  const auto source = open_part(job, from_train ? Part::train : Part::test);
  const std::string expected = expected_hash_of(part, job.data, expected_hash), found = hex(source->hash());
  if (!expected_hash.empty() && found != expected)
    fail(Kind::data, "the {} data is not the data that the run was planned with (hash {}, expected {})",
         part == Part::train ? "training" : "test", found, expected);
  Decoded decoded = source->decode(encoding, true);
  const Split split = split_rows(job, decoded.features->rows());
  decoded = keep(std::move(decoded), part == Part::train ? split.train : split.test);
  return std::make_unique<EncodedRows>(std::move(decoded), encoding);
}

std::unique_ptr<Rows> load_files(const job::Data& data, const Encoding& encoding, const job::Files& files,
                                 bool labels_required) {
  return std::make_unique<EncodedRows>(open_files(data, files)->decode(encoding, labels_required), encoding);
}

}  // namespace dtrain::data
