// The two doors to the rows: survey(), which fits, and load(), which applies what was fitted.

#include "data/data.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/encoder.hpp"
#include "data/files.hpp"
#include "data/fit.hpp"
#include "data/generate.hpp"
#include "data/selection.hpp"

namespace dtrain::data {
namespace {

bool has_own_test(const job::Data& data) {
  return data.format == job::Format::generated ? data.generate.test_rows > 0 : !data.test.features.empty();
}

bool holds_out(const job::Data& data) { return data.holdout > 0 && !has_own_test(data); }

/// `encoding`: what the training rows were; null for themselves. `hash`: what the content should have, if known.
Table open_part(const job::Job& job, Part part, const Encoding* encoding, const std::string& hash) {
  if (job.data.format == job::Format::generated) return generated_table(job.data.generate, job.seed, part);
  const bool numeric = job.model.loss == job::Loss::mean_squared_error;
  if (part == Part::train) return read_files(job.data, job.data.train, {nullptr, numeric, hash});
  const Schema schema = schema_of(*encoding, true);
  return read_files(job.data, job.data.test, {&schema, numeric, hash});
}

/// Which rows of the training file train, and which are kept for testing; both ascending.
struct Split {
  Selection train, test;
};

Split split_rows(const job::Job& job, Index rows) {
  if (!holds_out(job.data)) return {Selection::all(rows), Selection::of({})};
  if (rows < 2) fail(Kind::data, "data.holdout needs at least 2 rows, there are {}", rows);
  const auto share = static_cast<Index>(std::llround(job.data.holdout * static_cast<double>(rows)));
  const auto kept = static_cast<std::ptrdiff_t>(std::clamp<Index>(share, 1, rows - 1));
  std::vector<std::uint32_t> train, test;
  permutation(job.seed, Purpose::holdout, 0, rows, train);
  test.assign(train.begin(), train.begin() + kept);
  train.erase(train.begin(), train.begin() + kept);
  std::sort(train.begin(), train.end());
  std::sort(test.begin(), test.end());
  return {Selection::of(std::move(train)), Selection::of(std::move(test))};
}

class EncodedRows final : public Rows {
 public:
  EncodedRows(Table table, Selection selection, const Encoding& encoding, bool labels_required)
      : table_(std::move(table)), selection_(std::move(selection)), encoder_(table_, encoding) {
    const std::vector<float> all = encode_targets(table_, encoding, labels_required);
    targets_.reserve(static_cast<std::size_t>(count()));
    for (std::size_t i = 0; static_cast<Index>(i) < count(); ++i) targets_.push_back(all[selection_[i]]);
  }
  Index count() const override { return selection_.count(); }
  Index width() const override { return encoder_.width(); }
  std::size_t bytes() const override {
    return encoder_.bytes() + selection_.bytes() + targets_.capacity() * sizeof(float);
  }
  bool sparse() const override { return encoder_.sparse(); }
  std::span<const float> targets() const override { return targets_; }

  void gather(std::span<const std::uint32_t> rows, Matrix features, std::span<float> targets) const override {
    for (std::size_t k = 0; k < rows.size(); ++k) {
      encoder_.encode(selection_[rows[k]], features.row(static_cast<Index>(k)));
      targets[k] = targets_[rows[k]];
    }
  }

  void gather_sparse(std::span<const std::uint32_t> rows, SparseBatch& batch, std::span<float> targets) const override {
    batch.begins.assign(1, 0);
    batch.indices.clear();
    batch.values.clear();
    for (std::size_t k = 0; k < rows.size(); ++k) {
      encoder_.append(selection_[rows[k]], batch);
      targets[k] = targets_[rows[k]];
    }
  }

  std::vector<std::string> remarks() const override { return encoder_.remarks(selection_); }

  Table table(std::span<const std::uint32_t> rows) const override {
    std::vector<std::uint32_t> numbers;
    numbers.reserve(rows.size());
    for (const std::uint32_t row : rows) numbers.push_back(selection_[row]);
    return table_.select(numbers);
  }

 private:
  Table table_;
  Selection selection_;
  Encoder encoder_;
  std::vector<float> targets_;
};

/// A part's half of Facts::hash: 16 digits for the training rows' file, then 16 for the test rows' if it has its own.
std::string expected_hash_of(Part part, const job::Data& data, const std::string& hash) {
  return part == Part::test && !holds_out(data) ? hash.substr(std::min<std::size_t>(16, hash.size()))
                                                : hash.substr(0, 16);
}

/// 0 where rows are dense.
Index count_nonzeros(const Encoder& encoder, const Selection& rows) {
  SparseBatch one;
  Index count = 0;
  for (std::size_t i = 0; encoder.sparse() && static_cast<Index>(i) < rows.count(); ++i) {
    one.begins.assign(1, 0), one.indices.clear(), one.values.clear();
    encoder.append(rows[i], one);
    count += std::ssize(one.indices);
  }
  return count;
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

/// Who has how many rows of which class, where each worker has rows of its own.
Shards count_shards(const job::Job& job, const Encoding& encoding, const Table& table, const Selection& training) {
  if (job.data.sharing != job::Sharing::shard) return {};
  const std::vector<float> targets = encode_targets(table, encoding, true);
  const bool number = job.model.loss == job::Loss::mean_squared_error;
  std::vector<std::uint32_t> classes;
  for (std::size_t i = 0; static_cast<Index>(i) < training.count(); ++i)
    classes.push_back(number ? 0 : static_cast<std::uint32_t>(targets[training[i]]));
  return cut_shards(job, classes, class_names(job.model, encoding));
}

/// Digits are bytes, other features floats; and each row has a target.
std::size_t generated_bytes(const job::Generate& generate) {
  const bool digits = generate.set == job::Generated::digits;
  return static_cast<std::size_t>(generate.rows * (4 + (digits ? 28 * 28 : 4 * generate.features)));
}

void survey_train(const job::Job& job, Survey& survey) {
  const job::Normalize& normalize = job.data.normalize;
  const bool fits = normalize.features != job::Fit::none || normalize.target != job::Fit::none;
  const bool counted = job.data.sharing == job::Sharing::shard;
  const bool outline = job.data.format == job::Format::generated && !fits && !counted;
  const Table table = outline ? generated_table(job.data.generate, job.seed, Part::train, false)
                              : open_part(job, Part::train, nullptr, "");
  const Index rows = outline ? job.data.generate.rows : table.rows();
  const Split split = split_rows(job, rows);
  survey.facts.hash = hex(table.hash());
  survey.facts.skipped_rows = table.skipped();
  survey.facts.train_rows = split.train.count();
  survey.facts.test_rows = split.test.count();
  survey.encoding = fit(table, job, outline ? Selection::all(0) : split.train);
  const Encoder encoder(table, survey.encoding);
  survey.facts.train_bytes = (outline ? generated_bytes(job.data.generate) : encoder.bytes() + split.train.bytes()) +
                             static_cast<std::size_t>(split.train.count()) * sizeof(float);
  survey.facts.nonzeros = count_nonzeros(encoder, split.train);
  survey.facts.remarks = encoder.remarks(split.test);
  survey.facts.shards = count_shards(job, survey.encoding, table, split.train);
}

void survey_test(const job::Job& job, Survey& survey) {
  if (!has_own_test(job.data)) return;
  if (job.data.format == job::Format::generated) {
    survey.facts.hash += hex(generated_table(job.data.generate, job.seed, Part::test, false).hash());
    survey.facts.test_rows = job.data.generate.test_rows;
    return;
  }
  const Table table = open_part(job, Part::test, &survey.encoding, "");
  survey.facts.hash += hex(table.hash());
  survey.facts.skipped_rows += table.skipped();
  const auto rows = rows_of(table, survey.encoding);
  survey.facts.test_rows = rows->count();
  survey.facts.remarks = rows->remarks();
}

}  // namespace

Survey survey(const job::Job& job) {
  Survey result;
  survey_train(job, result);
  survey_test(job, result);
  return result;
}

std::unique_ptr<Rows> rows_of(Table table, const Encoding& encoding) {
  const Index count = table.rows();
  return std::make_unique<EncodedRows>(std::move(table), Selection::all(count), encoding, true);
}

std::unique_ptr<Rows> load(const job::Job& job, const Encoding& encoding, Part part, const std::string& expected_hash) {
  const bool from_train = part == Part::train || holds_out(job.data);
  if (!from_train && !has_own_test(job.data)) fail(Kind::data, "there are no test rows");
  const std::string expected = expected_hash_of(part, job.data, expected_hash);
  Table table = open_part(job, from_train ? Part::train : Part::test, &encoding, expected);
  const std::string found = hex(table.hash());
  if (!expected_hash.empty() && found != expected)
    fail(Kind::data, "the {} data is not the data that the run was planned with (hash {}, expected {})",
         part == Part::train ? "training" : "test", found, expected);
  Split split = split_rows(job, table.rows());
  Selection rows =
      from_train ? std::move(part == Part::train ? split.train : split.test) : Selection::all(table.rows());
  return std::make_unique<EncodedRows>(std::move(table), std::move(rows), encoding, true);
}

std::unique_ptr<Rows> load_files(const job::Data& data, const Encoding& encoding, const job::Files& files,
                                 bool labels_required) {
  const Schema schema = schema_of(encoding, labels_required);
  Table table = read_files(data, files, {&schema, encoding.classes.empty(), ""});
  const Index count = table.rows();
  return std::make_unique<EncodedRows>(std::move(table), Selection::all(count), encoding, labels_required);
}

}  // namespace dtrain::data
