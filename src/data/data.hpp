#pragma once
/// Rows: where they come from, what the columns mean, and how a batch of them is put together.
///
/// survey() looks at the data once, in the coordinator, and fits everything that is fitted (on training rows only).
/// load() gives a role the rows of one part, encoded by what survey() found, so that all roles and every later
/// `eval` or `predict` see the same numbers.
/// Errors: Kind::data with file, line and column (binary files: byte offset), the value, and what was expected.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/random.hpp"
#include "data/shards.hpp"
#include "data/steps.hpp"
#include "data/table.hpp"
#include "job/job.hpp"
#include "math/sparse.hpp"

namespace dtrain::data {

enum class Part { train, test };

/// What is fitted on the training rows and saved with the model.
struct Encoding {
  struct Column {
    std::string name;                          ///< header name, or its number from 1
    std::vector<std::string> levels;           ///< category: one feature per level, in order of appearance; else empty
    std::optional<double> fill;                ///< number: what a missing value becomes; absent: it is an error
    job::ColumnAs as = job::ColumnAs::number;  ///< number, category, hash or date
    bool required = false;                     ///< category, hash: a missing cell is an error, not a level
    Index buckets = 0;                         ///< hash: features
    std::vector<job::DatePart> parts;          ///< date: a feature each
    std::vector<double> part_fills;            ///< date: what each part of a missing one becomes; empty: an error
    NumberSteps steps;                         ///< number, date: after filling

    bool is_text() const { return as != job::ColumnAs::number; }
    Index features() const;
  };
  job::Format format = job::Format::generated;
  std::vector<Column> columns;       ///< of rows whose columns have names; without the target and those left out
  std::string target_name;           ///< "" if it has none
  std::vector<std::string> classes;  ///< labels in class order ("0".."9", "setosa"..); empty for regression
  Index width = 0;                   ///< features of an encoded row
  std::vector<float> shift, scale;   ///< feature' = (feature - shift) * scale; length width, or 1 for all alike;
                                     ///< indicators of categories are scaled but never fitted
  double target_shift = 0, target_scale = 1;  ///< regression: original = value * target_scale + target_shift

  Json to_json() const;
  /// Throws Error(Kind::checkpoint) on anything that to_json() would not have written.
  static Encoding from_json(const Json& json);
};

/// Facts that a plan rests on.
struct Facts {
  Index train_rows = 0;
  Index test_rows = 0;  ///< 0: there is no test part
  std::string hash;     ///< of the content, 16 digits a file of rows: training, then test; roles compare it
  Shards shards{};      ///< data.sharing: shard only
  std::vector<std::string> remarks{};  ///< on the data, for people; known to the coordinator only
  Index nonzeros = 0;                  ///< in the features of the training rows, where these stay sparse; otherwise 0
  Index skipped_rows = 0;              ///< that could not be read and were left out, of both parts
  std::size_t train_bytes = 0;         ///< of the training rows as a role holds them; known to the coordinator only
};

struct Survey {
  Facts facts;
  Encoding encoding;
};

/// Checks the data against the model: labels in range of the last layer's outputs, finite numbers, no empty file.
Survey survey(const job::Job& job);

/// The rows of one part, held as they came (bytes stay bytes, sparse stays sparse, a mapped file stays on disk) and
/// encoded on the way out. Rows are numbered from 0. Immutable after load; any thread may gather.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual Index count() const = 0;
  /// Features of an encoded row.
  virtual Index width() const = 0;
  /// features.row(k) = the encoded, normalised row `rows[k]`; targets[k] = its target. No allocation.
  virtual void gather(std::span<const std::uint32_t> rows, Matrix features, std::span<float> targets) const = 0;
  /// Whether most features of a row are zero: gather_sparse() then gives the same rows.
  virtual bool sparse() const = 0;
  /// Replaces what is in `batch`. sparse() only. Allocates only while `batch` grows.
  virtual void gather_sparse(std::span<const std::uint32_t> rows, SparseBatch& batch,
                             std::span<float> targets) const = 0;
  /// Of every row, as gather() gives them.
  virtual std::span<const float> targets() const = 0;
  /// These rows as they lie, for sending to another process, where rows_of() makes Rows of them again.
  virtual Table table(std::span<const std::uint32_t> rows) const = 0;
  virtual std::size_t bytes() const = 0;
  /// What a person should know of these rows: values that the training rows did not have.
  virtual std::vector<std::string> remarks() const { return {}; }
};

/// Throws Error(Kind::data) if the table is not of the encoding's columns.
std::unique_ptr<Rows> rows_of(Table table, const Encoding& encoding);

/// Throws Error(Kind::data) if the content's hash is not `expected_hash` ("" skips the comparison).
std::unique_ptr<Rows> load(const job::Job& job, const Encoding& encoding, Part part, const std::string& expected_hash);

/// Rows of any file in the encoding of a saved model, for eval and predict. `labels_required`: false lets the target
/// column be absent (targets are then 0).
std::unique_ptr<Rows> load_files(const job::Data& data, const Encoding& encoding, const job::Files& files,
                                 bool labels_required);

}  // namespace dtrain::data
