// The two doors to the rows: survey(), which fits, and load(), which applies what was fitted.

#include "data/data.hpp"

#include <algorithm>
#include <cmath>
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
  bool sparse() const override {
    return features_->sparse() != nullptr && std::all_of(shift_.begin(), shift_.end(), [](float s) { return s == 0; });
  }
  void gather_sparse(std::span<const std::uint32_t> rows, SparseBatch& batch, std::span<float> targets) const override {
    const Sparse& all = *features_->sparse();
    batch.begins.assign(1, 0), batch.indices.clear(), batch.values.clear();
    for (std::size_t k = 0; k < rows.size(); ++k) {
      for (std::size_t i = all.begins[rows[k]]; i < all.begins[rows[k] + 1]; ++i) {
        batch.indices.push_back(all.indices[i]);
        batch.values.push_back(all.values[i] * scale_[scale_.size() == 1 ? 0 : all.indices[i]]);
      }
      batch.begins.push_back(static_cast<std::uint32_t>(batch.indices.size()));
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
  const std::vector<float>& shift = survey.encoding.shift;
  if (train.features->sparse() != nullptr && std::all_of(shift.begin(), shift.end(), [](float s) { return s == 0; }))
    survey.facts.nonzeros = std::ssize(train.features->sparse()->values);
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

}  // namespace

Survey survey(const job::Job& job) {
  Survey result;
  survey_train(job, result);
  survey_test(job, result);
  return result;
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
